-- The operations with most traffic of late, with their durations; and the versions that served.
SELECT
    Operation,
    sum(Count) AS Requests,
    sum(Zeros) AS NoTime,
    sumMap(Buckets) AS Durations,
    groupUniqArray(10)(Version) AS Versions
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Operation
ORDER BY Requests DESC, Operation
LIMIT {most:UInt32}
