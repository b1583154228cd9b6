-- Which instances were sent warm-up requests, and so need no start-up time before their durations count?
SELECT Instance
FROM otel_traces
WHERE ServiceName = {service:String}
    AND Timestamp >= toDateTime64({since:Int64}, 9)
    AND Timestamp < toDateTime64({until:Int64}, 9)
    AND SpanKind = 'Server'
    AND SpanAttributes['user_agent.synthetic.type'] != ''
GROUP BY Instance
HAVING count() >= {enough:UInt32}
