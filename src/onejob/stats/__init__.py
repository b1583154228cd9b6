"""Pure mathematics on counts.

In: numpy arrays. Out: evidence, intervals, ratios. Never: I/O, clocks, knowledge of what the counts mean.
"""
