"""Facts: deployments, evidence, verdicts, rollouts; SQLite by default, PostgreSQL beyond.

In: model objects. Out: model objects. Never: telemetry, judgement.
"""
