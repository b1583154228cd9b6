"""Loki's push API.

In: the body of a push, protobuf or JSON. Out: OTLP log records for the spool, and the answer Loki gives. Never: a label
or a line changed.
"""
