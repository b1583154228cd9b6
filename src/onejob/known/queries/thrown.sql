-- Exceptions on spans that ended in [since, until), and on log records of that time: distinct stack traces (but for lines
-- and addresses) per version and minute, with how many traces threw them, and the first of them.
SELECT
    Service,
    Place,
    Version,
    Build,
    Type,
    Same,
    intDiv(At, 60000000000) * 60 AS BinStart,
    uniqExact(if(TraceId = '', concat(toString(At), ' ', SpanId), TraceId)) AS Count,
    max(Level) AS Severity,
    min(At) AS FirstNs,
    max(At) AS LastNs,
    argMin(Stack, Order) AS Sample,
    argMin(Text, Order) AS Message,
    argMin(TraceId, Order) AS SampleTrace,
    argMin(SpanId, Order) AS SampleSpan
FROM
(
    SELECT
        *,
        substringUTF8(Said['exception.stacktrace'], 1, {most_chars:UInt32}) AS Stack,
        substringUTF8(Said['exception.message'], 1, 500) AS Text,
        Said['exception.type'] AS Type,
        ${same} AS Same,
        (At, SpanId, cityHash64(Stack, Text)) AS Order
    FROM
    (
        SELECT
            toString(ServiceName) AS Service,
            toString(Environment) AS Place,
            toString(Version) AS Version,
            toString(Build) AS Build,
            TraceId,
            SpanId,
            toInt64(toUnixTimestamp64Nano(Timestamp) + Duration) AS At,
            Said,
            toUInt8(17) AS Level
        FROM otel_traces
        ARRAY JOIN Events.Name AS Event, Events.Attributes AS Said
        WHERE Timestamp >= toDateTime64({since:Int64} - {longest:Int64}, 9)
            AND Timestamp < toDateTime64({until:Int64}, 9)
            AND Duration < {longest:Int64} * 1000000000
            AND toUnixTimestamp64Nano(Timestamp) + Duration >= {since:Int64} * 1000000000
            AND toUnixTimestamp64Nano(Timestamp) + Duration < {until:Int64} * 1000000000
            AND has(Events.Name, 'exception')
            AND Event = 'exception'
            AND SpanAttributes['user_agent.synthetic.type'] = ''
        UNION ALL
        SELECT
            toString(ServiceName) AS Service,
            toString(Environment) AS Place,
            toString(Version) AS Version,
            toString(Build) AS Build,
            TraceId,
            SpanId,
            toInt64(toUnixTimestamp64Nano(Timestamp)) AS At,
            LogAttributes AS Said,
            if(SeverityNumber = 0, toUInt8(17), SeverityNumber) AS Level
        FROM otel_logs
        WHERE TimestampTime >= toDateTime({since:Int64}, 'UTC')
            AND TimestampTime < toDateTime({until:Int64}, 'UTC')
            AND (LogAttributes['exception.type'] != '' OR LogAttributes['exception.stacktrace'] != '')
    )
)
GROUP BY Service, Place, Version, Build, Type, Same, BinStart
ORDER BY BinStart, Service, Place, Count DESC, Version, Build, Type, Same
LIMIT {most_rows:UInt32} BY BinStart, Service, Place
