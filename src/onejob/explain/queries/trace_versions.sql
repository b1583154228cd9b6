-- Which versions of these services did each of these traces go through?
SELECT TraceId AS trace_id, toString(ServiceName) AS service, toString(Version) AS version, toString(Build) AS build
FROM otel_traces
WHERE ServiceName IN ${services}
    AND Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
    AND TraceId IN ${trace_ids}
GROUP BY trace_id, service, version, build
