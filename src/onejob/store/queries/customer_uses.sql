-- Which versions of which services served these customers, and in which ten minutes?
SELECT
    Customer AS customer,
    ServiceName AS service,
    Environment AS environment,
    Version AS version,
    Build AS build,
    arraySort(groupUniqArray(toUnixTimestamp(Bin))) AS bins
FROM customer_rollup
WHERE Customer IN ${customers}
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY customer, service, environment, version, build
ORDER BY customer, service, environment, version, build
