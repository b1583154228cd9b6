-- Web vitals of page views on the spans that ended in [since, until): per vital, page, version, group of sessions and bin.
-- A vital that was reported more than once for a page view counts once, as it was last.
SELECT
    Vital,
    Page,
    Version,
    Build,
    Sessions,
    BinStart,
    count() AS Count,
    sum(Seconds) AS Sum,
    sum(pow(Seconds, 2)) AS SumSq,
    countIf(Seconds = 0) AS Zeros,
    sumMapIf(map(toInt16(ceil(log2(greatest(Seconds, 1e-9)) * 32) - 1), toUInt64(1)), Seconds > 0) AS Buckets
FROM
(
    SELECT
        Vital,
        Page,
        Version,
        Build,
        Sessions,
        BinStart,
        argMax(Value, (At, SpanId, Value)) AS Last,
        if(Vital = 'cls', ${cls_offset} + Last, Last / 1000) AS Seconds
    FROM
    (
        SELECT
            Version,
            Build,
            SpanId,
            ${bin_start} AS BinStart,
            At,
            lower(if(Said['browser.web_vital.name'] != '', Said['browser.web_vital.name'], Said['name'])) AS Vital,
            assumeNotNull(toFloat64OrNull(
                if(Said['browser.web_vital.value'] != '', Said['browser.web_vital.value'], Said['value'])
            )) AS Value,
            if(Said['browser.web_vital.id'] != '', Said['browser.web_vital.id'], Said['id']) AS Id,
            if(Id != '', Id, concat(SpanId, toString(At))) AS View,
            ${page} AS Page,
            concat('sessions ', toString(cityHash64(${session}) % ${groups})) AS Sessions
        FROM ${spans}
        ARRAY JOIN Events.Name AS Event, Events.Attributes AS Said, Events.Timestamp AS At
        WHERE ${in_scope}
            AND has(Events.Name, 'browser.web_vital')
            AND Event = 'browser.web_vital'
            AND Vital IN ('lcp', 'inp', 'cls')
            AND isFinite(Value)
            AND Value >= 0
            AND toFloat64OrNull(
                if(Said['browser.web_vital.value'] != '', Said['browser.web_vital.value'], Said['value'])
            ) IS NOT NULL
    )
    GROUP BY Vital, Page, Version, Build, Sessions, BinStart, View
)
GROUP BY Vital, Page, Version, Build, Sessions, BinStart
ORDER BY BinStart, Vital, Page, Version, Build, Sessions
