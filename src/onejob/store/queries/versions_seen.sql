SELECT
    ServiceName,
    Environment,
    Version,
    Build,
    VersionSource,
    toUnixTimestamp(min(Bin)) AS FirstBin,
    toUnixTimestamp(max(Bin)) AS LastBin,
    sum(Count) AS Count,
    arraySort(groupUniqArray(1000)(Instance)) AS Instances
FROM operation_rollup
WHERE Bin >= toDateTime({since:Int64}, 'UTC') AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY ServiceName, Environment, Version, Build, VersionSource
ORDER BY ServiceName, Environment, FirstBin, Version, Build
