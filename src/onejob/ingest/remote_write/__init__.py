"""Prometheus remote write, 1.0 and 2.0.

In: the body of a request. Out: OTLP metrics for the spool, and the answer that the specifications ask for. Never: a
type that nobody named and no suffix shows.
"""
