-- Log records of [since, until) that carry no exception: distinct lines (but for numbers) per version and minute, warnings
-- and errors first, else drawn by their hash; with how often they came, and the first of them. Of each service so many
-- records are read, and as many warnings and errors: what one says at length hides nothing of another's.
SELECT
    Service,
    Place,
    Version,
    Build,
    intDiv(At, 60000000000) * 60 AS BinStart,
    ${same_line} AS Same,
    count() AS Count,
    max(Level) AS Severity,
    min(At) AS FirstNs,
    max(At) AS LastNs,
    argMin(Line, Order) AS Sample,
    argMin(TraceId, Order) AS SampleTrace,
    argMin(SpanId, Order) AS SampleSpan,
    sum(count()) OVER (PARTITION BY Service, max(Level) >= 13) >= {most_read:UInt64} AS IsCut
FROM
(
    SELECT
        toString(ServiceName) AS Service,
        toString(Environment) AS Place,
        toString(Version) AS Version,
        toString(Build) AS Build,
        TraceId,
        SpanId,
        toInt64(toUnixTimestamp64Nano(Timestamp)) AS At,
        substringUTF8(Body, 1, {most_chars:UInt32}) AS Line,
        ${severity} AS Level,
        (At, SpanId, Line) AS Order
    FROM otel_logs
    WHERE TimestampTime >= toDateTime({since:Int64}, 'UTC')
        AND TimestampTime < toDateTime({until:Int64}, 'UTC')
        AND Body != ''
        AND LogAttributes['exception.type'] = ''
        AND LogAttributes['exception.stacktrace'] = ''
    LIMIT {most_read:UInt64} BY Service, Level >= 13
)
GROUP BY Service, Place, Version, Build, BinStart, Same
ORDER BY Severity >= 13 DESC, cityHash64(Same, BinStart), Version, Build
LIMIT {most_rows:UInt32}
