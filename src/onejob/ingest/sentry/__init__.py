"""Sentry's protocol: what its SDKs send to a DSN.

In: envelopes of events, transactions, sessions and logs. Out: OTLP log records, spans and data points for the spool,
and the answer that SDKs understand. Never: variables of frames, breadcrumbs, bodies, headers and cookies of requests.
"""
