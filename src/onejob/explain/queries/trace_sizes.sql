-- How many spans do these traces have? Late spans may still arrive, so the bounds are wide.
SELECT TraceId AS trace_id, count() AS spans
FROM otel_traces
WHERE Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
    AND TraceId IN ${trace_ids}
GROUP BY TraceId
