-- How often each of some errors came since a moment.
SELECT ErrorId AS error_id, toInt64(sum(Highest)) AS count
FROM
(
    SELECT ErrorId, Version, Bin, max(Count) AS Highest
    FROM error_counts
    WHERE ErrorId IN ${errors} AND Bin >= toDateTime({since:Int64}, 'UTC')
    GROUP BY ErrorId, Version, Bin
)
GROUP BY error_id
