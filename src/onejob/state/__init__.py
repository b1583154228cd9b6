"""The facts: deployments, verdicts, the counts behind them, rollouts; in SQLite or PostgreSQL.

In: the dataclasses of `model`. Out: the same, found again after a restart. Never: telemetry, decisions, HTTP.
"""
