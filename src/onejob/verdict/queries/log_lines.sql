-- Warnings and errors in a service's log records of [since, until) that carry no exception: distinct lines (but for
-- numbers) per version and bin, errors first, with how many traces logged them (all records without one count as one,
-- as a loop may write them) and the first of them.
SELECT
    Version,
    Build,
    BinStart,
    Same,
    uniqExact(TraceId) AS Traces,
    argMin(Line, Order) AS Sample,
    argMin(TraceId, Order) AS SampleTrace
FROM
(
    SELECT
        Version,
        Build,
        TraceId,
        intDiv(toUnixTimestamp64Nano(Timestamp), {width:Int64} * 1000000000) * {width:Int64} AS BinStart,
        substringUTF8(Body, 1, {most_chars:UInt32}) AS Line,
        ${severity} AS Level,
        ${same_line} AS Same,
        (Timestamp, SpanId, Line) AS Order
    FROM otel_logs
    WHERE ServiceName = {service:String}
        AND Environment IN ({environment:String}, {unnamed:String})
        AND TimestampTime >= toDateTime({since:Int64})
        AND TimestampTime < toDateTime({until:Int64})
        AND Level >= 13
        AND Body != ''
        AND EventName NOT IN ('browser.web_vital', 'exception')
        AND LogAttributes['exception.type'] = ''
        AND LogAttributes['exception.stacktrace'] = ''
)
GROUP BY Version, Build, BinStart, Same
ORDER BY BinStart, Version, Build, max(Level) >= 17 DESC, count() DESC, Same
LIMIT {most_rows:UInt32} BY BinStart, Version, Build
