-- Which instances of a service answered, from when to when, and in how many bins?
SELECT
    Version AS version,
    Build AS build,
    Instance AS instance,
    toInt64(toUnixTimestamp(min(Bin))) AS first_bin,
    toInt64(toUnixTimestamp(max(Bin))) AS last_bin,
    uniqExact(Bin) AS bins,
    sum(Count) AS count
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Version, Build, Instance
ORDER BY Version, Build, Instance
