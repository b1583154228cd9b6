-- How much there is, told by what the engine knows of its parts: no span is read, however many there are. Services are
-- those that were asked something within a day. A last span of the future says nothing: then the last bin does.
SELECT
    Spans,
    Services,
    if(Last < now64(9) + INTERVAL 1 HOUR, toUnixTimestamp64Nano(Last) / 1e9, LastBin) AS LastSpan
FROM
(
    SELECT
        count() AS Spans,
        max(Timestamp) AS Last
    FROM otel_traces
) AS stored
CROSS JOIN
(
    SELECT
        uniqExact(ServiceName) AS Services,
        toUnixTimestamp(max(Bin)) AS LastBin
    FROM operation_rollup
    WHERE Bin >= now() - INTERVAL 1 DAY AND Bin < now() + INTERVAL 1 HOUR
) AS asked
