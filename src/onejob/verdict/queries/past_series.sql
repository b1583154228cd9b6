-- Per step of the past: requests, failed ones, and those slower than the operation's own p50 and p95. Where spans are
-- sampled these are spans: Behind are the requests that they stand for, Squares the sum of squares of how many each does.
-- Operations that are not asked for are taken together as ''. Maps are not merged, only looked into: a sum of sums is the same.
WITH
    JSONExtract({operations:String}, 'Array(String)') AS asked,
    transform(toString(Operation), asked, JSONExtract({p50:String}, 'Array(Int16)'), toInt16(32767)) AS beyond_p50,
    transform(toString(Operation), asked, JSONExtract({p95:String}, 'Array(Int16)'), toInt16(32767)) AS beyond_p95
SELECT
    if(has(asked, toString(Operation)), toString(Operation), '') AS Name,
    toInt64(intDiv(toUnixTimestamp(Bin) - {since:Int64}, {step:Int64})) AS Step,
    sum(Count) AS Requests,
    sum(Adjusted) AS Behind,
    sum(AdjustedSq) AS Squares,
    sum(Errors) AS Failed,
    sum(arraySum((index, count) -> if(index > beyond_p50, count, 0), mapKeys(Buckets), mapValues(Buckets))) AS SlowerP50,
    sum(arraySum((index, count) -> if(index > beyond_p95, count, 0), mapKeys(Buckets), mapValues(Buckets))) AS SlowerP95
FROM operation_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY Name, Step
ORDER BY Name, Step
