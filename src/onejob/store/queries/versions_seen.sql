SELECT
    ServiceName AS service,
    Environment AS environment,
    Version AS version,
    Build AS build,
    VersionSource AS version_source,
    toUnixTimestamp(min(Bin)) AS first_bin,
    toUnixTimestamp(max(Bin)) AS last_bin,
    uniqExact(Bin) AS bins,
    sum(Count) AS count,
    arraySort(groupUniqArray(1000)(Instance)) AS instances
FROM operation_rollup
WHERE Bin >= toDateTime({since:Int64}, 'UTC') AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY ServiceName, Environment, Version, Build, VersionSource
ORDER BY ServiceName, Environment, first_bin, Version, Build
