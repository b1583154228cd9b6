-- Spans of a service that end in the bins [since, until), and a few that do not, with onejob's own columns.
SELECT *, ${own}
FROM
(
    SELECT
        ${more}
        Timestamp, TraceState, ParentSpanId, SpanName, ServiceName, ResourceAttributes, SpanAttributes,
        Kind AS SpanKind,
        Status AS StatusCode,
        Spent AS Duration
    FROM
    (
        SELECT ${columns}
        FROM ${table}
        WHERE ServiceName = {service:String}
            AND Timestamp >= toDateTime64({since:Int64} - 900, 9)
            AND Timestamp < toDateTime64({until:Int64}, 9)
            AND Spent < 900000000000
        UNION ALL
        -- A bin holds spans by their end. Few are longer than 15 minutes: an index on the duration skips the others.
        SELECT ${columns}
        FROM ${table}
        WHERE ServiceName = {service:String}
            AND Timestamp >= toDateTime64({since:Int64} - 604800, 9)
            AND Timestamp < toDateTime64({until:Int64}, 9)
            AND Duration >= 900000000000
            AND Spent >= 900000000000
    )
)
