-- Sessions of a service's users that were reported in [since, until), per version. One that ended without being known to
-- have started counts all the same.
SELECT
    Version AS version,
    toUInt64(greatest(sumIf(Value, State = 'started'), sumIf(Value, State != 'started'))) AS sessions,
    toUInt64(sumIf(Value, State = 'errored')) AS errored,
    toUInt64(sumIf(Value, State = 'crashed')) AS crashed,
    toUInt64(sumIf(Value, State = 'abnormal')) AS abnormal
FROM
(
    SELECT Version, Value, Attributes['session.state'] AS State
    FROM otel_metrics_sum
    WHERE ServiceName = {service:String}
        AND MetricName = 'sentry.sessions'
        AND Environment IN ({environment:String}, {unnamed:String})
        AND TimeUnix >= toDateTime64({since:Int64}, 9, 'UTC')
        AND TimeUnix < toDateTime64({until:Int64}, 9, 'UTC')
)
GROUP BY version
HAVING sessions > 0
ORDER BY sessions DESC, version
