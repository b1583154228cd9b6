-- Points of some metrics of a service that end in (since, until]; with `back`, those of so many seconds before as well.
-- Shape says what they are: a level; a counter, whose Total grows; a spread, that recorded Number values of sum Total.
SELECT
    Environment, Version, Build, Instance, MetricName, Attributes, ResourceAttributes, ScopeName,
    StartTimeUnix, TimeUnix, Flags,
    ${shape} AS Shape, ${is_delta} AS IsDelta, ${total} AS Total, ${number} AS Number
FROM ${table}
WHERE ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND MetricName IN (${names})
    AND TimeUnix > toDateTime64({since:Int64} - ${back}, 9, 'UTC')
    AND TimeUnix <= toDateTime64({until:Int64}, 9, 'UTC')
    AND bitAnd(Flags, 1) = 0
    AND ${only}
