-- A service's requests as its own histograms count them, with the columns of `operation_rollup`: a row for what came since
-- the point before, in the bin of the point. The first point of a series that is older than what is read tells nothing.
SELECT
    ServiceName, Environment, Operation, SpanKind, Version, VersionSource, Build, Instance,
    toDateTime(intDiv(toUnixTimestamp64Nano(TimeUnix) - 1, ${width} * 1000000000) * ${width}, 'UTC') AS Bin,
    toUInt64(if(Follows, Requests - RequestsBefore, toInt64(Requests))) AS Count,
    if(IsFailed, Count, toUInt64(0)) AS Errors,
    greatest(if(Follows, Seconds - SecondsBefore, Seconds), 0) AS Sum,
    0. AS SumSq,
    toUInt64(if(Follows, NoTime - least(NoTime, NoTimeBefore), toInt64(NoTime))) AS Zeros,
    if(Follows, mapFilter((key, n) -> n > 0, mapSubtract(Held, HeldBefore)), Held) AS Buckets,
    toFloat64(Count) AS Adjusted,
    toFloat64(Errors) AS AdjustedErrors,
    toFloat64(Count) AS AdjustedSq,
    toUInt64(0) AS TailSampled
FROM
(
    SELECT
        *,
        ${is_failed} AS IsFailed,
        NOT IsDelta AND Nth > 1 AND StartBefore = StartTimeUnix AND RequestsBefore <= Requests AS Follows,
        ${held} AS HeldBefore
    FROM
    (
        SELECT
            *,
            ${protocol} AS Protocol,
            ${operation} AS Operation,
            if(Protocol = 'messaging', 'Consumer', 'Server') AS SpanKind,
            max(${is_stable}) OVER (PARTITION BY Version, Build, Instance, Source, Protocol) AS HasStable,
            CAST(mapFromArrays(Sums.1, Sums.2), 'Map(Int16, Int64)') AS Held,
            arrayReduce('sumMap', arrayMap(key -> [key], Keys), arrayMap(n -> [toInt64(n)], Counts)) AS Sums,
            row_number() OVER series AS Nth,
            lagInFrame(StartTimeUnix) OVER series AS StartBefore,
            lagInFrame(TimeUnix) OVER series AS TimeBefore,
            lagInFrame(Requests) OVER series AS RequestsBefore,
            lagInFrame(Seconds) OVER series AS SecondsBefore,
            lagInFrame(NoTime) OVER series AS NoTimeBefore,
            lagInFrame(Sums) OVER series AS SumsBefore
        FROM (${points})
        WINDOW series AS (
            PARTITION BY Environment, Version, Build, Instance, Source, MetricName, Attributes
            ORDER BY TimeUnix ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        )
    )
    WHERE NOT (${is_probe}) AND (${is_stable}) = HasStable AND (Nth = 1 OR TimeUnix > TimeBefore)
)
WHERE (IsDelta OR Nth > 1 OR StartTimeUnix > toDateTime64({since:Int64} - ${before_s}, 9, 'UTC'))
    AND Requests > if(Follows, RequestsBefore, 0)
