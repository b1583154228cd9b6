"""A small real shop with its customers, and four versions to ship.

In: a seed. Out: real traffic to a real onejob, and a report. Never: anything the server could learn the truth from.
"""
