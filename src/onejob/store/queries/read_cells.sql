SELECT
    Operation,
    Version,
    Build,
    Instance,
    toUnixTimestamp(Bin) AS BinStart,
    sum(Count) AS Count,
    sum(Errors) AS Errors,
    sum(Sum) AS Sum,
    sum(SumSq) AS SumSq,
    sum(Zeros) AS Zeros,
    sumMap(Buckets) AS Buckets
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Operation, Version, Build, Instance, Bin
ORDER BY Bin, Operation, Version, Build, Instance
