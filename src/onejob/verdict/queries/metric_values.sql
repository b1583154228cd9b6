-- KPI values of the points that end in (since, until]: per KPI, version, instance and bin, counted and summed by octave as
-- `kpi_values` does. Of cumulative points, what they add to the one before; one that is less than the one before began
-- again at nothing. All that is asked of a point is how long ago the one before was, so that it does not matter which
-- bins are read together.
SELECT
    Entry.1 AS Kpi,
    Version,
    Build,
    Instance,
    BinStart,
    sumMap(map(Octave, Weight)) AS Counts,
    mapApply((k, v) -> (k, toFloat64(v)), sumMap(map(Octave, Unit))) AS Units
FROM
(
    SELECT
        Version,
        Build,
        Instance,
        toInt64(intDiv(toUnixTimestamp64Nano(TimeUnix) - 1, {width:Int64} * 1000000000) * {width:Int64}) AS BinStart,
        arrayJoin(Entries) AS Entry,
        Entry.2 = 1 AS IsStep,
        if(IsStep AND Shape = 'spread', toFloat64(NumberAdded), TotalAdded) AS Amount,
        if(IsStep, toUInt64(1), NumberAdded) AS Weight,
        Amount / Weight AS Value,
        if(Value = 0, 0, floor(log2(abs(Value)))) AS Exponent,
        toInt16(if(Value = 0, 0, sign(Value) * (Exponent + 1100))) AS Octave,
        if(isFinite(Value), toInt128(Amount / pow(2, Exponent) * pow(2, 52)), 0) AS Unit
    FROM
    (
        SELECT
            *,
            Nth > 1 AND TimeUnix <= TimeBefore + toIntervalSecond(${before_s}) AS HasBefore,
            NOT IsDelta
                AND Shape != 'level'
                AND HasBefore
                AND if(Shape = 'spread', Number >= NumberBefore, Total >= TotalBefore) AS Follows,
            if(Follows, Total - TotalBefore, Total) AS TotalAdded,
            if(Follows, toUInt64(Number - NumberBefore), Number) AS NumberAdded
        FROM
        (
            SELECT
                *,
                ${entries} AS Entries,
                row_number() OVER series AS Nth,
                lagInFrame(TimeUnix) OVER series AS TimeBefore,
                lagInFrame(Total) OVER series AS TotalBefore,
                lagInFrame(toInt64(Number)) OVER series AS NumberBefore
            FROM (${points})
            WINDOW series AS (
                PARTITION BY
                    Version, Build, Instance, MetricName, Attributes, cityHash64(ResourceAttributes, ScopeName),
                    if(IsDelta, 0, toUnixTimestamp64Nano(StartTimeUnix))
                ORDER BY TimeUnix ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
            )
        )
        WHERE TimeUnix > toDateTime64({since:Int64}, 9, 'UTC')
            AND (Nth = 1 OR TimeUnix > TimeBefore)
    )
    WHERE notEmpty(Entries)
        AND (IsDelta OR Shape = 'level' OR HasBefore OR StartTimeUnix > TimeUnix - toIntervalSecond(${before_s}))
        AND if(IsStep, Shape != 'level', Shape != 'counter')
        AND Weight > 0
)
WHERE isFinite(Value)
GROUP BY Kpi, Version, Build, Instance, BinStart
ORDER BY BinStart, Kpi, Version, Build, Instance
