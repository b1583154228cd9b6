"""Onejob over stored history: what it would have said of deployments.

In: counts of the past and facts about deployments. Out: a Backtest. Never: anything that changes what
was stored, or looks at what the clock of the replay has not reached.
"""
