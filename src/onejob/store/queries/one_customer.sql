-- How was one customer served over time, by which versions of which services?
SELECT
    ServiceName AS service,
    Environment AS environment,
    Version AS version,
    Build AS build,
    intDiv(toUnixTimestamp(Bin), {step:Int64}) * {step:Int64} AS bin_start,
    toUnixTimestamp(min(Bin)) AS first_bin,
    toUnixTimestamp(max(Bin)) AS last_bin,
    sum(Count) AS count,
    sum(Errors) AS errors,
    sum(Adjusted) AS adjusted,
    sum(AdjustedErrors) AS adjusted_errors,
    sum(AdjustedSq) AS adjusted_sq,
    sum(TailSampled) AS tail_sampled,
    sum(Zeros) AS zeros,
    sumMap(Buckets) AS buckets
FROM customer_rollup
WHERE Customer = {customer:String}
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY ServiceName, Environment, Version, Build, bin_start
ORDER BY bin_start DESC, service, environment, version, build
LIMIT {limit:UInt64}
