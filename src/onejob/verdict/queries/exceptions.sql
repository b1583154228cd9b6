-- Exceptions on the spans that ended in [since, until): distinct stack traces (but for lines and addresses) per version
-- and bin, with how many traces threw them and the first of them.
SELECT
    Type,
    Same,
    Version,
    Build,
    BinStart,
    uniqExact(TraceId) AS Traces,
    argMin(Stack, Order) AS Sample,
    argMin(Text, Order) AS Message,
    argMin(TraceId, Order) AS SampleTrace
FROM
(
    SELECT
        Version,
        Build,
        TraceId,
        intDiv(toUnixTimestamp64Nano(Timestamp) + Duration, {width:Int64} * 1000000000) * {width:Int64} AS BinStart,
        Said['exception.type'] AS Type,
        substringUTF8(Said['exception.stacktrace'], 1, {most_chars:UInt32}) AS Stack,
        substringUTF8(Said['exception.message'], 1, 500) AS Text,
        cityHash64(replaceRegexpAll(if(Stack = '', Text, Stack), '0x[0-9a-fA-F]+|[0-9]+', '*')) AS Same,
        (Timestamp, SpanId, cityHash64(Stack, Text)) AS Order
    FROM ${spans}
    ARRAY JOIN Events.Name AS Event, Events.Attributes AS Said
    WHERE ServiceName = {service:String}
        AND Environment IN ({environment:String}, {unnamed:String})
        AND Timestamp >= toDateTime64({since:Int64} - {longest:Int64}, 9)
        AND Timestamp < toDateTime64({until:Int64}, 9)
        AND Duration < {longest:Int64} * 1000000000
        AND toUnixTimestamp64Nano(Timestamp) + Duration >= {since:Int64} * 1000000000
        AND toUnixTimestamp64Nano(Timestamp) + Duration < {until:Int64} * 1000000000
        AND has(Events.Name, 'exception')
        AND Event = 'exception'
        AND SpanAttributes['user_agent.synthetic.type'] = ''
)
GROUP BY Type, Same, Version, Build, BinStart
ORDER BY BinStart, Version, Build, Traces DESC, Type, Same
LIMIT {most_rows:UInt32} BY BinStart, Version, Build
