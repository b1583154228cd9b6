SELECT
    Version AS version,
    Build AS build,
    intDiv(toUnixTimestamp(Bin), {step:Int64}) * {step:Int64} AS bin_start,
    toUInt64(round(sum(Adjusted))) AS count,
    toUInt64(round(sum(AdjustedErrors))) AS errors,
    sum(Sum * (Adjusted / Count)) AS sum_s,
    sum(Zeros) AS zeros,
    sumMap(Buckets) AS buckets
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND ({operation:String} = '' OR Operation = {operation:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Version, Build, bin_start
ORDER BY Version, Build, bin_start
