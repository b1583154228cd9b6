-- Which customers did a version serve, and how beside what each of them had before? Per customer both sides: `new` is the
-- version, `old` the customer's own past and what the version that it replaces serves meanwhile. Those that look worst
-- come first, by how many standard errors their failures or the mean of their log durations rose, the latter by how
-- unlike their bins are; `customers` counts all. Durations are read for those few only: see customer_buckets.sql.
-- `by_time` is for a version that served before: then only the time tells the sides apart, and the ten minutes in which
-- the deployment began are on neither.
SELECT
    customer,
    count() OVER () AS customers,
    new_count, new_errors, new_adjusted, new_adjusted_errors, new_adjusted_sq, new_tail_sampled,
    new_bins, new_failing, new_logs, new_between, new_zeros,
    old_count, old_errors, old_adjusted, old_adjusted_errors, old_adjusted_sq, old_tail_sampled,
    old_bins, old_failing, old_logs, old_between, old_zeros
FROM (
    SELECT
        customer,
        sumIf(n, is_new) AS new_count,
        sumIf(e, is_new) AS new_errors,
        sumIf(a, is_new) AS new_adjusted,
        sumIf(ae, is_new) AS new_adjusted_errors,
        sumIf(sq, is_new) AS new_adjusted_sq,
        sumIf(ts, is_new) AS new_tail_sampled,
        countIf(is_new) AS new_bins,
        sumIf(e * e / n, is_new) AS new_failing,
        sumIf(logs, is_new) AS new_logs,
        sumIf(logs * logs / timed, is_new AND timed > 0) AS new_between,
        sumIf(z, is_new) AS new_zeros,
        sumIf(n, NOT is_new) AS old_count,
        sumIf(e, NOT is_new) AS old_errors,
        sumIf(a, NOT is_new) AS old_adjusted,
        sumIf(ae, NOT is_new) AS old_adjusted_errors,
        sumIf(sq, NOT is_new) AS old_adjusted_sq,
        sumIf(ts, NOT is_new) AS old_tail_sampled,
        countIf(NOT is_new) AS old_bins,
        sumIf(e * e / n, NOT is_new) AS old_failing,
        sumIf(logs, NOT is_new) AS old_logs,
        sumIf(logs * logs / timed, NOT is_new AND timed > 0) AS old_between,
        sumIf(z, NOT is_new) AS old_zeros,
        (new_errors + old_errors + 1) / (new_count + old_count + 2) AS rate,
        new_count - new_zeros AS new_timed,
        old_count - old_zeros AS old_timed,
        greatest(new_between - new_logs * new_logs / new_timed, 0) + greatest(old_between - old_logs * old_logs / old_timed, 0)
            AS between,
        if(old_count = 0, 0, (new_errors / new_count - old_errors / old_count)
            / sqrt(rate * (1 - rate) * (1 / new_count + 1 / old_count))) AS failing,
        if(new_timed = 0 OR old_timed = 0 OR new_bins + old_bins < 3, 0, (new_logs / new_timed - old_logs / old_timed)
            / sqrt((1e-6 + between / (new_bins + old_bins - 2)) * (1 / new_timed + 1 / old_timed))) AS slower
    FROM (
        SELECT
            Customer AS customer,
            Bin,
            is_new,
            sum(Count) AS n,
            sum(Errors) AS e,
            sum(Adjusted) AS a,
            sum(AdjustedErrors) AS ae,
            sum(AdjustedSq) AS sq,
            sum(TailSampled) AS ts,
            sum(Logs) AS logs,
            sum(Zeros) AS z,
            n - z AS timed
        FROM (${sides})
        WHERE is_new OR is_old
        GROUP BY customer, Bin, is_new
    )
    GROUP BY customer
    HAVING new_count > 0
)
ORDER BY greatest(failing, slower) DESC, new_count DESC, customer
LIMIT {limit:UInt64}
