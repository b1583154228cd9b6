-- How often an error came in [since, until), per version and step.
SELECT
    Version AS version,
    toInt64(intDiv(toUnixTimestamp(Bin), {step:Int64}) * {step:Int64}) AS bin_start,
    toInt64(sum(Highest)) AS count
FROM
(
    SELECT Version, Bin, max(Count) AS Highest
    FROM error_counts
    WHERE ErrorId = {error:String} AND Bin >= toDateTime({since:Int64}, 'UTC') AND Bin < toDateTime({until:Int64}, 'UTC')
    GROUP BY Version, Bin
)
GROUP BY version, bin_start
ORDER BY bin_start, version
