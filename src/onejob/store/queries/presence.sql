-- In which bins did each version of a service answer, and how many requests? A row per version, with arrays.
SELECT
    Environment,
    Version,
    Build,
    VersionSource,
    groupArray(BinStart) AS Bins,
    groupArray(Requests) AS Counts
FROM
(
    SELECT
        Environment,
        Version,
        Build,
        VersionSource,
        toInt64(toUnixTimestamp(Bin)) AS BinStart,
        toInt64(sum(Count)) AS Requests
    FROM operation_rollup
    WHERE ServiceName = {service:String}
        AND Bin >= toDateTime({since:Int64}, 'UTC')
        AND Bin < toDateTime({until:Int64}, 'UTC')
    GROUP BY Environment, Version, Build, VersionSource, BinStart
    ORDER BY BinStart
)
GROUP BY Environment, Version, Build, VersionSource
ORDER BY Environment, Version, Build, VersionSource
