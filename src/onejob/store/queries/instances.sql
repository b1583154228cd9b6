-- Which instances of a service answered, from when to when, and in how many bins?
SELECT
    Version,
    Build,
    Instance,
    toInt64(toUnixTimestamp(min(Bin))) AS FirstBin,
    toInt64(toUnixTimestamp(max(Bin))) AS LastBin,
    uniqExact(Bin) AS Bins,
    sum(Count) AS Count
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Version, Build, Instance
ORDER BY Version, Build, Instance
