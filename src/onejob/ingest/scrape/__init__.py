"""Metrics that are fetched, from the targets of the settings.

In: pages in Prometheus' text format or OpenMetrics. Out: OTLP metrics for the spool, and `up` for each target. Never:
one target's trouble at another.
"""
