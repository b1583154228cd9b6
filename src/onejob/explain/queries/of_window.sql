-- Entry spans of a service that ended in the window; a request that did so may have begun up to an hour before it.
ServiceName = {service:String}
    AND (Environment = {environment:String}
        OR (Environment = '' AND {environment:String} = {default_environment:String}))
    AND IsEntry
    AND Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64} - 3600000000000)
    AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
    AND start_ns + duration_ns >= {since_ns:Int64}
    AND start_ns + duration_ns < {until_ns:Int64}
