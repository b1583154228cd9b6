-- KPI values on the spans that ended in [since, until): per KPI, version, instance and bin, counted and summed by octave.
-- Sums are of whole numbers, in units of the last place of the octave: they are the same in whatever order they are added.
SELECT
    Entry.1 AS Kpi,
    Version,
    Build,
    Instance,
    ${bin_start} AS BinStart,
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
    WHERE ${in_scope}
        AND SpanAttributes['user_agent.synthetic.type'] = ''
)
WHERE isNotNull(Entry.2) AND isFinite(Value)
GROUP BY Kpi, Version, Build, Instance, BinStart
ORDER BY BinStart, Kpi, Version, Build, Instance
