"""What onejob says of itself, as the service `onejob`.

In: spans that its parts left in a buffer, and its page of metrics. Out: OTLP for the spool, in process, checked and
counted as anybody's. Never: a part that waits for it, or telemetry about this telemetry.
"""
