-- The counts of customers on either side; see customers.sql.
SELECT
    *,
    {label:String} IN (Version, concat(Version, '@', Build)) AS is_version,
    {previous:String} IN ('', Version, concat(Version, '@', Build)) AS is_previous,
    is_version AND Bin > toDateTime({since:Int64} - if({by_time:UInt8}, 1, 600), 'UTC') AS is_new,
    if({by_time:UInt8},
        Bin <= toDateTime({since:Int64} - 600, 'UTC'),
        NOT is_version AND (Bin <= toDateTime({since:Int64}, 'UTC') OR is_previous)) AS is_old
FROM customer_rollup
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({past_since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
