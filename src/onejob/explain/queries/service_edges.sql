-- Which service called which in these traces? A span whose parent is another service's is a call.
SELECT DISTINCT toString(parent.ServiceName) AS caller, toString(child.ServiceName) AS called
FROM (
    SELECT TraceId, ParentSpanId, ServiceName
    FROM otel_traces
    WHERE Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
        AND TraceId IN ${trace_ids} AND ParentSpanId != ''
    LIMIT {per_trace:UInt64} BY TraceId
) AS child
INNER JOIN (
    SELECT TraceId, SpanId, ServiceName
    FROM otel_traces
    WHERE Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
        AND TraceId IN ${trace_ids}
    LIMIT {per_trace:UInt64} BY TraceId
) AS parent ON child.TraceId = parent.TraceId AND child.ParentSpanId = parent.SpanId
WHERE child.ServiceName != parent.ServiceName
ORDER BY caller, called
