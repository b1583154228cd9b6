-- Spans, exactly as the OpenTelemetry Collector's ClickHouse exporter keeps them, so that a collector can write
-- here and tools made for its tables can read; then the columns onejob reads most, worked out of the attributes.
-- Its Bloom filters over attribute keys and values are left out: nothing here searches by them, and they took 18 % of
-- the time of an insert (measured).
CREATE TABLE otel_traces
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),

    Environment LowCardinality(String) DEFAULT ${environment},
    Version LowCardinality(String) DEFAULT ${version},
    VersionSource LowCardinality(String) DEFAULT ${version_source},
    Build LowCardinality(String) DEFAULT ${build},
    Instance LowCardinality(String) DEFAULT ${instance},
    Operation LowCardinality(String) DEFAULT ${operation},
    IsEntry Bool DEFAULT ${is_entry},
    IsFailed Bool DEFAULT ${is_failed},

    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
TTL toDateTime(Timestamp) + toIntervalDay(${traces_retention_days})
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
