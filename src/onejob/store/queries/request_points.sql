-- Points of the histograms in which a service counts its requests, each with its buckets as the rollup's: `Keys` are indices
-- of their upper edges, at 32 to an octave. What is beyond the last bound of all is in the bucket after it.
SELECT
    ServiceName, Environment, Version, VersionSource, Build, Instance, MetricName, Attributes,
    cityHash64(ResourceAttributes, ScopeName) AS Source,
    StartTimeUnix, TimeUnix, AggregationTemporality = 1 AS IsDelta, Count AS Requests, Sum * Factor AS Seconds,
    toInt32(${finest}) AS Scale,
    ${factor} AS Factor,
    arrayMap(bound -> ${index_of_bound}, ExplicitBounds) AS Edges,
    arrayPushBack(Edges, toInt16(if(empty(Edges), 0, arrayMax(Edges) + 1))) AS Keys,
    BucketCounts AS Counts,
    toUInt64(0) AS NoTime
FROM otel_metrics_histogram
WHERE ServiceName = {service:String}
    AND MetricName IN (${names})
    AND TimeUnix > toDateTime64({since:Int64} - ${before_s}, 9, 'UTC')
    AND TimeUnix <= toDateTime64({until:Int64}, 9, 'UTC')
    AND length(BucketCounts) = length(ExplicitBounds) + 1
UNION ALL
SELECT
    ServiceName, Environment, Version, VersionSource, Build, Instance, MetricName, Attributes,
    cityHash64(ResourceAttributes, ScopeName) AS Source,
    StartTimeUnix, TimeUnix, AggregationTemporality = 1 AS IsDelta, Count AS Requests, Sum * Factor AS Seconds,
    Scale,
    ${factor} AS Factor,
    []::Array(Int16) AS Edges,
    arrayMap(i -> ${index_of_bucket}, range(length(PositiveBucketCounts))) AS Keys,
    PositiveBucketCounts AS Counts,
    ZeroCount + arraySum(NegativeBucketCounts) AS NoTime
FROM otel_metrics_exponential_histogram
WHERE ServiceName = {service:String}
    AND MetricName IN (${names})
    AND TimeUnix > toDateTime64({since:Int64} - ${before_s}, 9, 'UTC')
    AND TimeUnix <= toDateTime64({until:Int64}, 9, 'UTC')
