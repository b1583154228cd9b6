"""The telemetry store: one small engine protocol, chDB embedded or ClickHouse behind it.

In: OTLP bytes and SQL. Out: Arrow tables. Never: judgement.
"""
