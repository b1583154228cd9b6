-- Exceptions on the spans that ended in [since, until): distinct stack traces (but for lines and addresses) per version
-- and bin, with how many traces threw them (in a browser, which has none: sessions) and the first of them.
SELECT
    Type,
    Same,
    Version,
    Build,
    BinStart,
    uniqExact(Whose) AS Traces,
    argMin(Stack, Order) AS Sample,
    argMin(Text, Order) AS Message,
    argMin(TraceId, Order) AS SampleTrace
FROM
(
    SELECT
        Version,
        Build,
        TraceId,
        if(TraceId = '', ${session}, TraceId) AS Whose,
        ${bin_start} AS BinStart,
        Said['exception.type'] AS Type,
        substringUTF8(Said['exception.stacktrace'], 1, {most_chars:UInt32}) AS Stack,
        substringUTF8(Said['exception.message'], 1, 500) AS Text,
        ${same} AS Same,
        (Timestamp, SpanId, cityHash64(Stack, Text)) AS Order
    FROM ${spans}
    ARRAY JOIN Events.Name AS Event, Events.Attributes AS Said
    WHERE ${in_scope}
        AND has(Events.Name, 'exception')
        AND Event = 'exception'
        AND SpanAttributes['user_agent.synthetic.type'] = ''
)
GROUP BY Type, Same, Version, Build, BinStart
ORDER BY BinStart, Version, Build, Traces DESC, Type, Same
LIMIT {most_rows:UInt32} BY BinStart, Version, Build
