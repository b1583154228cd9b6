SELECT
    count() AS Spans,
    uniqExact(ServiceName) AS Services,
    toUnixTimestamp64Nano(maxIf(Timestamp, Timestamp < now64(9) + INTERVAL 1 HOUR)) / 1e9 AS LastSpan
FROM otel_traces
