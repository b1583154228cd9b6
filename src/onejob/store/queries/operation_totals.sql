-- What did each version of a service do per operation, all in all?
SELECT
    Operation,
    Version,
    Build,
    sum(Count) AS Count,
    sum(Errors) AS Errors,
    sum(Sum) AS Sum
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Operation, Version, Build
ORDER BY Operation, Version, Build
