-- How quick new instances were at each age: per instance that was seen to begin, and step of its age, timed requests and
-- those slower than their operation's median of the last day. The last step is the time after the start-up time.
WITH
    {window:Int64} AS window,
    -- What was there when the record begins was not seen to begin.
    (
        SELECT min(Bin)
        FROM operation_rollup
        WHERE ServiceName = {service:String}
            AND Environment IN ({environment:String}, {unnamed:String})
            AND Bin >= toDateTime({since:Int64}, 'UTC')
            AND Bin < toDateTime({until:Int64}, 'UTC')
    ) AS beginning,
    born AS
    (
        SELECT Version AS v, Build AS b, Instance AS i, min(Bin) AS at
        FROM operation_rollup
        WHERE ServiceName = {service:String}
            AND Environment IN ({environment:String}, {unnamed:String})
            AND Bin >= toDateTime({since:Int64}, 'UTC')
            AND Bin < toDateTime({until:Int64}, 'UTC')
        GROUP BY v, b, i
        HAVING at >= beginning + 600 AND max(Bin) >= at + 2 * window
        ORDER BY at DESC
        LIMIT {most:UInt32}
    ),
    usual AS
    (
        SELECT
            Operation AS o,
            arraySort((pair) -> pair.1, arrayZip(mapKeys(sumMap(Buckets) AS durations), mapValues(durations))) AS sorted,
            arrayFirstIndex(seen -> 2 * seen >= arraySum(mapValues(durations)), arrayCumSum(pair -> pair.2, sorted)) AS half,
            sorted[half].1 AS median
        FROM operation_rollup
        WHERE ServiceName = {service:String}
            AND Environment IN ({environment:String}, {unnamed:String})
            AND Bin >= toDateTime({until:Int64} - 86400, 'UTC')
            AND Bin < toDateTime({until:Int64}, 'UTC')
        GROUP BY o
    )
SELECT
    concat(v, '/', b, '/', i) AS start,
    least(intDiv(toUnixTimestamp(Bin) - toUnixTimestamp(at), {step:Int64}), intDiv(window, {step:Int64})) AS age,
    sum(arraySum(mapValues(Buckets)) + Zeros) AS timed,
    sum(arraySum((index, n) -> if(index > median, n, 0), mapKeys(Buckets), mapValues(Buckets))) AS slower
FROM operation_rollup
INNER JOIN born ON Version = v AND Build = b AND Instance = i
INNER JOIN usual ON Operation = o
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Bin >= toDateTime({since:Int64}, 'UTC')
    AND Bin < toDateTime({until:Int64}, 'UTC')
    AND toUnixTimestamp(Bin) - toUnixTimestamp(at) < 3 * window
GROUP BY start, age
ORDER BY start, age
