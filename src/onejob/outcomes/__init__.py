"""The KPIs and tolerances of a team: those of the configuration and those that people named, in one book.

In: what somebody names on a page or through the API. Out: what judges of deployments to come are told, and what recent
telemetry says of it. Never: a change of what a running deployment is judged by.
"""
