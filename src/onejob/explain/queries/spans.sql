-- Every span of these traces, with what names it and with the attributes that may say who was asking.
SELECT
    cityHash64(TraceId, SpanId) AS span_key,
    if(ParentSpanId = '' OR ParentSpanId = SpanId, 0, cityHash64(TraceId, ParentSpanId)) AS parent_key,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    toString(ServiceName) AS service,
    toString(SpanKind) AS kind,
    toValidUTF8(toString(SpanName)) AS name,
    toValidUTF8(toString(Operation)) AS operation,
    toUnixTimestamp64Nano(Timestamp) AS start_ns,
    toInt64(least(Duration, 86400000000000)) AS duration_ns,
    toUInt8(IsFailed) AS is_failed,
    toUInt8(SpanAttributes['asgi.event.type'] != '') AS is_transport,
    toValidUTF8(if(SpanAttributes['http.request.method'] != '', SpanAttributes['http.request.method'],
        SpanAttributes['http.method'])) AS method,
    toValidUTF8(multiIf(
        SpanAttributes['url.template'] != '', SpanAttributes['url.template'],
        SpanAttributes['http.route'] != '', SpanAttributes['http.route'],
        SpanAttributes['url.full'] != '', SpanAttributes['url.full'],
        SpanAttributes['http.url'] != '', SpanAttributes['http.url'],
        SpanAttributes['url.path'] != '', SpanAttributes['url.path'],
        SpanAttributes['http.target'])) AS target,
    toValidUTF8(substring(if(SpanAttributes['db.query.text'] != '', SpanAttributes['db.query.text'],
        SpanAttributes['db.statement']), 1, 4000)) AS statement,
    toValidUTF8(if(SpanAttributes['db.system.name'] != '', SpanAttributes['db.system.name'],
        SpanAttributes['db.system'])) AS database,
    mapFilter((k, v) -> length(v) BETWEEN 1 AND 128 AND NOT match(k, {never:String}), SpanAttributes) AS telling,
    arrayMap(k -> toValidUTF8(toString(k)), mapKeys(telling)) AS names,
    arrayMap(v -> toValidUTF8(v), mapValues(telling)) AS values
FROM otel_traces
WHERE Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
    AND TraceId IN ${trace_ids}
ORDER BY Timestamp
LIMIT {per_trace:UInt64} BY TraceId
