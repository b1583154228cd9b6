SELECT
    ServiceName AS service,
    Environment AS environment,
    Instance AS instance,
    sum(Spans) AS spans,
    toUnixTimestamp64Nano(min(Earliest)) / 1e9 AS earliest_s,
    toUnixTimestamp64Nano(max(Latest)) / 1e9 AS latest_s
FROM clock_skew
WHERE Received >= toDateTime({since:Int64}, 'UTC')
GROUP BY ServiceName, Environment, Instance
ORDER BY ServiceName, Environment, Instance
