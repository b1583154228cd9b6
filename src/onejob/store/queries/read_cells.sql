SELECT
    Operation AS operation,
    Version AS version,
    Build AS build,
    Instance AS instance,
    toUnixTimestamp(Bin) AS bin_start,
    sum(Count) AS count,
    sum(Errors) AS errors,
    sum(Sum) AS sum_s,
    sum(SumSq) AS sum_sq_s2,
    sum(Zeros) AS zeros,
    sumMap(Buckets) AS buckets,
    sum(Adjusted) AS adjusted,
    sum(AdjustedErrors) AS adjusted_errors,
    sum(AdjustedSq) AS adjusted_sq,
    sum(TailSampled) AS tail_sampled
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Operation, Version, Build, Instance, Bin
ORDER BY Bin, Operation, Version, Build, Instance
