-- Which of the events that are judged there are on the spans that ended in [since, until).
SELECT DISTINCT arrayJoin(arrayIntersect(Events.Name, ['browser.web_vital', 'exception'])) AS Event
FROM ${spans}
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Timestamp >= toDateTime64({since:Int64} - {longest:Int64}, 9)
    AND Timestamp < toDateTime64({until:Int64}, 9)
    AND Duration < {longest:Int64} * 1000000000
    AND toUnixTimestamp64Nano(Timestamp) + Duration >= {since:Int64} * 1000000000
    AND toUnixTimestamp64Nano(Timestamp) + Duration < {until:Int64} * 1000000000
    AND hasAny(Events.Name, ['browser.web_vital', 'exception'])
