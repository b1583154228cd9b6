-- Spans, and a service's log records in [since, until) that are judged: each as a span of no length that has the event on
-- it. Browsers send theirs in logs, and loggers what was thrown; `log` is a warning or an error without an exception.
(
    SELECT
        Timestamp, Duration, TraceId, SpanId, Version, Build, Operation, ServiceName, Environment,
        ResourceAttributes, SpanAttributes, `Events.Timestamp`, `Events.Name`, `Events.Attributes`
    FROM ${spans}
    WHERE ${in_scope}
    UNION ALL
    SELECT
        Timestamp, toUInt64(0), TraceId, SpanId, Version, Build, EventName, ServiceName, Environment,
        ResourceAttributes, LogAttributes, [Timestamp],
        [multiIf(
            EventName IN ('browser.web_vital', 'exception'), EventName,
            LogAttributes['exception.type'] != '' OR LogAttributes['exception.stacktrace'] != '', 'exception',
            'log'
        )] AS `Events.Name`,
        [LogAttributes]
    FROM otel_logs
    WHERE ServiceName = {service:String}
        AND TimestampTime >= toDateTime({since:Int64})
        AND TimestampTime < toDateTime({until:Int64})
        AND (
            EventName IN ('browser.web_vital', 'exception')
            OR LogAttributes['exception.type'] != ''
            OR LogAttributes['exception.stacktrace'] != ''
            OR ${severity} >= 13
        )
)
