-- Which service called which, in some of the traces that went through a service? A span whose parent is another
-- service's is a call. Spans without a known parent give ('', service): so much as that is known where there are traces.
WITH chosen AS (
    SELECT TraceId
    FROM otel_traces
    WHERE ServiceName = {service:String}
        AND Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
    GROUP BY TraceId
    ORDER BY cityHash64(TraceId)
    LIMIT {most:UInt64}
)
SELECT DISTINCT toString(parent.ServiceName) AS Caller, toString(child.ServiceName) AS Called
FROM (
    SELECT TraceId, ParentSpanId, ServiceName
    FROM otel_traces
    WHERE Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
        AND TraceId IN (SELECT TraceId FROM chosen)
) AS child
LEFT JOIN (
    SELECT TraceId, SpanId, ServiceName
    FROM otel_traces
    WHERE Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
        AND TraceId IN (SELECT TraceId FROM chosen)
) AS parent ON child.TraceId = parent.TraceId AND child.ParentSpanId = parent.SpanId
WHERE child.ServiceName != parent.ServiceName
ORDER BY Caller, Called
