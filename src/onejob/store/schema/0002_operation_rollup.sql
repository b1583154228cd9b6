-- What the judge reads: requests per operation, version, instance and bin of the span's end. Never scans spans.
CREATE TABLE operation_rollup
(
    ServiceName LowCardinality(String),
    Environment LowCardinality(String),
    Operation LowCardinality(String),
    SpanKind LowCardinality(String),
    Version LowCardinality(String),
    VersionSource LowCardinality(String),
    Build LowCardinality(String),
    Instance LowCardinality(String),
    Bin DateTime('UTC') CODEC(Delta, ZSTD(1)),
    Count SimpleAggregateFunction(sum, UInt64),
    Errors SimpleAggregateFunction(sum, UInt64),
    Sum SimpleAggregateFunction(sum, Float64),
    SumSq SimpleAggregateFunction(sum, Float64),
    Zeros SimpleAggregateFunction(sum, UInt64),
    Buckets SimpleAggregateFunction(sumMap, Map(Int16, UInt64)),

    INDEX idx_bin Bin TYPE minmax GRANULARITY 1
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(Bin)
ORDER BY (ServiceName, Environment, Bin, Operation, SpanKind, Version, VersionSource, Build, Instance)
TTL Bin + toIntervalDay(${rollup_retention_days})
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW operation_rollup_mv TO operation_rollup AS
SELECT
    ServiceName,
    Environment,
    Operation,
    SpanKind,
    Version,
    VersionSource,
    Build,
    Instance,
    toDateTime(intDiv(toUnixTimestamp64Nano(Timestamp) + Duration, ${bin_width_s} * 1000000000) * ${bin_width_s}, 'UTC') AS Bin,
    count() AS Count,
    countIf(IsFailed) AS Errors,
    sum(Duration / 1e9) AS Sum,
    sum(pow(Duration / 1e9, 2)) AS SumSq,
    countIf(Duration = 0) AS Zeros,
    sumMapIf(map(toInt16(ceil(log2(greatest(Duration, 1) / 1e9) * 32) - 1), toUInt64(1)), Duration > 0) AS Buckets
FROM otel_traces
WHERE IsEntry
    AND Timestamp >= toDateTime64('2000-01-01 00:00:00', 9, 'UTC')
    AND toUnixTimestamp64Nano(Timestamp) + Duration < toUnixTimestamp64Nano(now64(9)) + 3600000000000
GROUP BY ServiceName, Environment, Operation, SpanKind, Version, VersionSource, Build, Instance, Bin;

-- Spans whose clock cannot be right: they are kept, but prove nothing about a bin.
CREATE TABLE clock_skew
(
    ServiceName LowCardinality(String),
    Environment LowCardinality(String),
    Instance LowCardinality(String),
    Received DateTime('UTC'),
    Spans SimpleAggregateFunction(sum, UInt64),
    Earliest SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    Latest SimpleAggregateFunction(max, DateTime64(9, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (ServiceName, Environment, Instance, Received)
TTL Received + toIntervalDay(14)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW clock_skew_mv TO clock_skew AS
SELECT
    ServiceName,
    Environment,
    Instance,
    toStartOfHour(now('UTC')) AS Received,
    count() AS Spans,
    min(Timestamp) AS Earliest,
    max(Timestamp) AS Latest
FROM otel_traces
WHERE Timestamp < toDateTime64('2000-01-01 00:00:00', 9, 'UTC')
    OR toUnixTimestamp64Nano(Timestamp) + Duration >= toUnixTimestamp64Nano(now64(9)) + 3600000000000
GROUP BY ServiceName, Environment, Instance, Received;
