-- A service's log records in [since, until) that are events of some name: each as a span of no length that has the event.
(
    SELECT
        Timestamp, toUInt64(0) AS Duration, Version, Build, Instance, EventName AS Operation, ServiceName, Environment,
        LogAttributes AS SpanAttributes, [EventName] AS `Events.Name`, [LogAttributes] AS `Events.Attributes`
    FROM otel_logs
    WHERE ServiceName = {service:String}
        AND TimestampTime >= toDateTime({since:Int64})
        AND TimestampTime < toDateTime({until:Int64})
        AND EventName IN (${names})
)
