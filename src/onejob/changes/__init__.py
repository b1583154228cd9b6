"""Where deployments come from: reported by people and pipelines, or detected in telemetry.

In: reports, rollup rows. Out: Deployments. Never: judgement.
"""
