-- When the first span or log record since a moment is from, in Unix seconds; NULL where there is none.
SELECT toUnixTimestamp64Nano(min(At)) / 1e9 AS At
FROM
(
    SELECT minOrNull(Timestamp) AS At FROM otel_traces WHERE Timestamp >= toDateTime64({since:Int64}, 9)
    UNION ALL
    SELECT minOrNull(Timestamp) AS At FROM otel_logs WHERE TimestampTime >= toDateTime({since:Int64}, 'UTC')
)
