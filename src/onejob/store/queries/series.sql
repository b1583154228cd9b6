SELECT
    Version,
    Build,
    intDiv(toUnixTimestamp(Bin), {step:Int64}) * {step:Int64} AS BinStart,
    sum(Count) AS Count,
    sum(Errors) AS Errors,
    sum(Sum) AS Sum,
    sum(Zeros) AS Zeros,
    sumMap(Buckets) AS Buckets
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND ({operation:String} = '' OR Operation = {operation:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Version, Build, BinStart
ORDER BY Version, Build, BinStart
