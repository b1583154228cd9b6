"""Customers: how each was served by a version, and what they complained about.

In: counts per customer, complaints. Out: comparisons with each one's own past, the deployments that complaints follow.
Never: evidence for a verdict.
"""
