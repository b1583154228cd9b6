-- What did each version of a service do per operation, all in all?
SELECT
    Operation AS operation,
    Version AS version,
    Build AS build,
    sum(Count) AS count,
    sum(Errors) AS errors,
    sum(Sum) AS sum_s
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Operation, Version, Build
ORDER BY Operation, Version, Build
