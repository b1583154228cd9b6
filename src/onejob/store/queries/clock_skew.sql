SELECT
    ServiceName,
    Environment,
    Instance,
    sum(Spans) AS Spans,
    toUnixTimestamp64Nano(min(Earliest)) / 1e9 AS Earliest,
    toUnixTimestamp64Nano(max(Latest)) / 1e9 AS Latest
FROM clock_skew
WHERE Received >= toDateTime({since:Int64}, 'UTC')
GROUP BY ServiceName, Environment, Instance
ORDER BY ServiceName, Environment, Instance
