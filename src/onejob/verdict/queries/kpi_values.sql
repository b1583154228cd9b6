-- KPI values on the spans that ended in [since, until): per KPI, version, instance and bin, counted and summed by octave.
-- Sums are of whole numbers, in units of the last place of the octave: they are the same in whatever order they are added.
SELECT
    Entry.1 AS Kpi,
    Version,
    Build,
    Instance,
    intDiv(toUnixTimestamp64Nano(Timestamp) + Duration, {width:Int64} * 1000000000) * {width:Int64} AS BinStart,
    sumMap(map(Octave, toUInt64(1))) AS Counts,
    mapApply((k, v) -> (k, toFloat64(v)), sumMap(map(Octave, Unit))) AS Units
FROM
(
    SELECT
        Timestamp,
        Duration,
        Version,
        Build,
        Instance,
        arrayJoin(${entries}) AS Entry,
        assumeNotNull(Entry.2) AS Value,
        if(Value = 0, 0, floor(log2(abs(Value)))) AS Exponent,
        toInt16(if(Value = 0, 0, sign(Value) * (Exponent + 1100))) AS Octave,
        if(isFinite(Value), toInt128(Value / pow(2, Exponent) * pow(2, 52)), 0) AS Unit
    FROM ${spans}
    WHERE ServiceName = {service:String}
        AND Environment IN ({environment:String}, {unnamed:String})
        AND Timestamp >= toDateTime64({since:Int64} - {longest:Int64}, 9)
        AND Timestamp < toDateTime64({until:Int64}, 9)
        AND Duration < {longest:Int64} * 1000000000
        AND toUnixTimestamp64Nano(Timestamp) + Duration >= {since:Int64} * 1000000000
        AND toUnixTimestamp64Nano(Timestamp) + Duration < {until:Int64} * 1000000000
        AND SpanAttributes['user_agent.synthetic.type'] = ''
)
WHERE isNotNull(Entry.2) AND isFinite(Value)
GROUP BY Kpi, Version, Build, Instance, BinStart
ORDER BY BinStart, Kpi, Version, Build, Instance
