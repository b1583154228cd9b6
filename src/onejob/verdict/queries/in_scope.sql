-- Spans of a service that ended in [since, until); when they began, by which the table is sorted, is bounded by their length.
ServiceName = {service:String}
    AND Environment IN ({environment:String}, {unnamed:String})
    AND Timestamp >= toDateTime64({since:Int64} - {longest:Int64}, 9)
    AND Timestamp < toDateTime64({until:Int64}, 9)
    AND Duration < {longest:Int64} * 1000000000
    AND toUnixTimestamp64Nano(Timestamp) + Duration >= {since:Int64} * 1000000000
    AND toUnixTimestamp64Nano(Timestamp) + Duration < {until:Int64} * 1000000000
