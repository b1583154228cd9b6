"""Onejob over stored history: what it would have said of deployments, and how often it would have been wrong.

In: counts of the past and facts about deployments. Out: a Backtest, a Calibration. Never: anything that changes what
was stored, or looks at what the clock of the replay has not reached.
"""
