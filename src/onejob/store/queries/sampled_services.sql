SELECT
    ServiceName AS service,
    sum(TailSampled) > 0 AS is_tail_sampled,
    sum(Adjusted) / sum(Count) AS each_stands_for
FROM operation_rollup
WHERE Bin >= toDateTime({since:Int64}, 'UTC') AND Bin < toDateTime({until:Int64}, 'UTC')
GROUP BY ServiceName
HAVING is_tail_sampled OR each_stands_for > 1.001
ORDER BY ServiceName
