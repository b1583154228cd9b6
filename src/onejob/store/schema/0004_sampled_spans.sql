-- Requests behind sampled spans: one kept with probability 1/n stands for n requests, which is its adjusted count, and
-- what was stored before stood for itself. The sum of squares tells how unlike the spans of a cell are in that.
ALTER TABLE otel_traces
    ADD COLUMN IF NOT EXISTS AdjustedCount Float64 DEFAULT ${adjusted_count},
    ADD COLUMN IF NOT EXISTS IsTailSampled Bool DEFAULT ${is_tail_sampled};
ALTER TABLE operation_rollup
    ADD COLUMN IF NOT EXISTS Adjusted SimpleAggregateFunction(sum, Float64) DEFAULT toFloat64(Count),
    ADD COLUMN IF NOT EXISTS AdjustedErrors SimpleAggregateFunction(sum, Float64) DEFAULT toFloat64(Errors),
    ADD COLUMN IF NOT EXISTS AdjustedSq SimpleAggregateFunction(sum, Float64) DEFAULT toFloat64(Count),
    ADD COLUMN IF NOT EXISTS TailSampled SimpleAggregateFunction(sum, UInt64);
-- Made anew rather than modified: until the engine next starts, a modified view has another identity, under which a batch
-- that is sent again after the start would be counted again.
DROP VIEW IF EXISTS operation_rollup_mv;
CREATE MATERIALIZED VIEW operation_rollup_mv TO operation_rollup AS
SELECT
    ServiceName,
    Environment,
    Operation,
    SpanKind,
    Version,
    VersionSource,
    Build,
    Instance,
    toDateTime(intDiv(toUnixTimestamp64Nano(Timestamp) + Duration, ${bin_width_s} * 1000000000) * ${bin_width_s}, 'UTC') AS Bin,
    count() AS Count,
    countIf(IsFailed) AS Errors,
    sum(Duration / 1e9) AS Sum,
    sum(pow(Duration / 1e9, 2)) AS SumSq,
    countIf(Duration = 0) AS Zeros,
    sumMapIf(map(toInt16(ceil(log2(greatest(Duration, 1) / 1e9) * 32) - 1), toUInt64(1)), Duration > 0) AS Buckets,
    sum(AdjustedCount) AS Adjusted,
    sumIf(AdjustedCount, IsFailed) AS AdjustedErrors,
    sum(pow(AdjustedCount, 2)) AS AdjustedSq,
    countIf(IsTailSampled) AS TailSampled
FROM otel_traces
WHERE IsEntry
    AND Timestamp >= toDateTime64('2000-01-01 00:00:00', 9, 'UTC')
    AND toUnixTimestamp64Nano(Timestamp) + Duration < toUnixTimestamp64Nano(now64(9)) + 3600000000000
GROUP BY ServiceName, Environment, Operation, SpanKind, Version, VersionSource, Build, Instance, Bin;
