-- How often each known error came, per version and minute. A look that is made again, or late spans, write a row again
-- with a count that is as high or higher; the highest stays, so that nothing is counted twice.
CREATE TABLE error_counts
(
    ErrorId String CODEC(ZSTD(1)),
    Bin DateTime('UTC') CODEC(Delta, ZSTD(1)),
    Version LowCardinality(String),
    Count UInt64
)
ENGINE = ReplacingMergeTree(Count)
PARTITION BY toYYYYMM(Bin)
ORDER BY (ErrorId, Bin, Version)
TTL Bin + toIntervalDay(${rollup_retention_days})
SETTINGS ttl_only_drop_parts = 1;
