-- Which requests did the two arms serve? Entry spans of the suspected operations that ended in the window; of each
-- operation, arm and outcome at most `limit`, drawn by the hash of their ids, each standing for `weight` requests.
SELECT
    trace_id, span_key, operation, customer, arm = 'treatment' AS is_treatment, start_ns, duration_ns, is_failed,
    stratum / least(stratum, {limit:UInt64}) AS weight
FROM (
    SELECT
        *,
        count() OVER (PARTITION BY operation, arm, is_failed) AS stratum,
        row_number() OVER (PARTITION BY operation, arm, is_failed ORDER BY span_key) AS place
    FROM (
        SELECT
            TraceId AS trace_id,
            cityHash64(TraceId, SpanId) AS span_key,
            toString(Operation) AS operation,
            toValidUTF8(Customer) AS customer,
            concat(Version, '@', Build) AS version_and_build,
            multiIf(
                has(${treatment}, version_and_build), 'treatment',
                has(${control}, version_and_build), 'control',
                has(${treatment}, toString(Version)), 'treatment',
                has(${control}, toString(Version)), 'control',
                '') AS arm,
            toUnixTimestamp64Nano(Timestamp) AS start_ns,
            toInt64(least(Duration, 86400000000000)) AS duration_ns,
            toUInt8(IsFailed) AS is_failed
        FROM otel_traces
        WHERE ${of_window}
            AND has(${operations}, operation)
    )
    WHERE arm != ''
)
WHERE place <= {limit:UInt64}
ORDER BY span_key
