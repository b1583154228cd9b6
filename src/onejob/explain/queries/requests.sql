-- Which requests did the service serve, whichever of its versions answered? As `entries`, but of all versions, so that
-- those of another deployment of the same service and those before any deployment are there to compare with.
-- Of each version and outcome at most about `limit`, and `most` of all together, however many versions there are: those
-- with the smallest hashes of their ids. A threshold takes no sorting, so memory does not grow with the traffic.
WITH served AS (
    SELECT
        TraceId AS trace_id,
        cityHash64(TraceId, SpanId) AS span_key,
        toString(Version) AS version,
        toString(Build) AS build,
        toUnixTimestamp64Nano(Timestamp) AS start_ns,
        toInt64(least(Duration, 86400000000000)) AS duration_ns,
        toUInt8(IsFailed) AS is_failed
    FROM otel_traces
    WHERE ${of_window}
        AND (empty(${operations}) OR has(${operations}, toString(Operation)))
)
SELECT trace_id, version, build, start_ns, duration_ns, is_failed, stratum
FROM served
INNER JOIN (
    SELECT version, build, is_failed, stratum, least(toFloat64({limit:UInt64}), {most:UInt64} / count() OVER ()) AS drawn
    FROM (SELECT version, build, is_failed, count() AS stratum FROM served GROUP BY version, build, is_failed)
) AS strata USING (version, build, is_failed)
WHERE span_key / 18446744073709551616. < drawn / stratum
ORDER BY span_key
