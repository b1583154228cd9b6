-- Whose request it was, by the first of the customer's attributes that the entry span has. The setting that lists them may
-- change, so the column's comment says which ones its expression is of (see migrate.py).
ALTER TABLE otel_traces
    ADD COLUMN IF NOT EXISTS Customer String DEFAULT ${customer} COMMENT ${customer_attributes} CODEC(ZSTD(1));

-- How each customer was served: requests per service, version and ten minutes. Sorted by customer within a day, so that
-- one customer is found without reading the others. Logs is the sum of log2 of the durations in seconds: with the counts
-- it gives the mean of each bin, and the spread between bins says how much a customer's requests go together.
CREATE TABLE customer_rollup
(
    ServiceName LowCardinality(String),
    Environment LowCardinality(String),
    Customer String CODEC(ZSTD(1)),
    Bin DateTime('UTC') CODEC(Delta, ZSTD(1)),
    Version LowCardinality(String),
    Build LowCardinality(String),
    Count SimpleAggregateFunction(sum, UInt64),
    Errors SimpleAggregateFunction(sum, UInt64),
    Adjusted SimpleAggregateFunction(sum, Float64),
    AdjustedErrors SimpleAggregateFunction(sum, Float64),
    AdjustedSq SimpleAggregateFunction(sum, Float64),
    TailSampled SimpleAggregateFunction(sum, UInt64),
    Logs SimpleAggregateFunction(sum, Float64),
    Zeros SimpleAggregateFunction(sum, UInt64),
    Buckets SimpleAggregateFunction(sumMap, Map(Int16, UInt64))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(Bin)
ORDER BY (ServiceName, Environment, Customer, Bin, Version, Build)
TTL Bin + toIntervalDay(${customer_retention_days})
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW customer_rollup_mv TO customer_rollup AS
SELECT
    ServiceName,
    Environment,
    Customer,
    toDateTime(intDiv(toUnixTimestamp64Nano(Timestamp) + Duration, 600 * 1000000000) * 600, 'UTC') AS Bin,
    Version,
    Build,
    count() AS Count,
    countIf(IsFailed) AS Errors,
    sum(AdjustedCount) AS Adjusted,
    sumIf(AdjustedCount, IsFailed) AS AdjustedErrors,
    sum(pow(AdjustedCount, 2)) AS AdjustedSq,
    countIf(IsTailSampled) AS TailSampled,
    sumIf(log2(greatest(Duration, 1) / 1e9), Duration > 0) AS Logs,
    countIf(Duration = 0) AS Zeros,
    sumMapIf(map(toInt16(ceil(log2(greatest(Duration, 1) / 1e9) * 32) - 1), toUInt64(1)), Duration > 0) AS Buckets
FROM otel_traces
WHERE IsEntry
    AND Customer != ''
    AND Timestamp >= toDateTime64('2000-01-01 00:00:00', 9, 'UTC')
    AND toUnixTimestamp64Nano(Timestamp) + Duration < toUnixTimestamp64Nano(now64(9)) + 3600000000000
GROUP BY ServiceName, Environment, Customer, Bin, Version, Build;
