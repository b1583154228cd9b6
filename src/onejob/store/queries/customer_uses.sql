-- Which versions of which services served these customers, and from when to when?
SELECT
    Customer AS customer,
    ServiceName AS service,
    Environment AS environment,
    Version AS version,
    Build AS build,
    toUnixTimestamp(Bin) AS bin_start
FROM customer_rollup
WHERE Customer IN ${customers}
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY customer, service, environment, version, build, bin_start
ORDER BY customer, service, environment, bin_start, version, build
