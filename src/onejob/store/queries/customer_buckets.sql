-- How long did the requests of these customers take, on either side? See customers.sql.
SELECT
    Customer AS customer,
    sumMapIf(Buckets, is_new) AS new_buckets,
    sumMapIf(Buckets, NOT is_new) AS old_buckets
FROM (${sides})
WHERE (is_new OR is_old) AND Customer IN ${customers}
GROUP BY Customer
