-- A month of one service's rollup: per bin, operation and instance a handful of requests with a day in their number. Each
-- bucket of durations is a Poisson draw of its own: the number of means at which the cumulated probabilities lie below u.
INSERT INTO operation_rollup
    (ServiceName, Environment, Operation, SpanKind, Version, VersionSource, Instance, Bin, Count, Errors, Buckets)
WITH
    -- Moments at which one of the instances gets the next version.
    {moments} AS moments,
    {bad} AS bad,
    [0.10, 0.25, 0.30, 0.20, 0.10, 0.05] AS shares,
    [-24, -10, 0, 10, 24, 48] AS offsets
SELECT
    '{service}', 'production', concat('GET /', toString(operation)), 'Server', toString(version + 1), 'service.version',
    concat('i', toString(instance), '-', toString(version)), at, arraySum(counts) AS requests,
    arrayCount(p -> error_u > p, arrayCumSum(k -> exp(-failing) * pow(failing, k) / tgamma(k + 1), range(12))) AS failed,
    mapFromArrays(
        arrayMap(offset -> toInt16(-162 + 9 * operation + slower + offset), arrayFilter((offset, n) -> n > 0, offsets, counts)),
        arrayFilter(n -> n > 0, counts)
    )
FROM
(
    SELECT
        toDateTime({since} + {width} * intDiv(number, {operations} * {instances}), 'UTC') AS at,
        toInt64(number % {operations}) AS operation,
        toInt64(intDiv(number, {operations}) % {instances}) AS instance,
        arrayCount(moment -> toUnixTimestamp(at) >= moment[1 + instance], moments) AS version,
        has(bad, version) AS is_bad,
        if(is_bad AND version % 2 = 0, 16, 0) AS slower,
        {mean} / (1 + operation) * (1 + 0.6 * sin(2 * pi() * (toUnixTimestamp(at) % 86400) / 86400)) AS mean,
        arrayMap(
            (share, n) -> toUInt64(arrayCount(
                p -> (cityHash64(number, n, '{service}') % 1000003) / 1000003 > p,
                arrayCumSum(k -> exp(-mean * share) * pow(mean * share, k) / tgamma(k + 1), range(12))
            )),
            shares, range(6)
        ) AS counts,
        mean * if(is_bad AND version % 2 = 1, 0.06, 0.01) AS failing,
        (cityHash64(number, 'failed', '{service}') % 1000003) / 1000003 AS error_u
