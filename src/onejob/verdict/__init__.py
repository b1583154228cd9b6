"""The judge.

In: counts per bin and arm. Out: a Verdict, recomputable from those counts. Never: spans, clocks of its own.
"""
