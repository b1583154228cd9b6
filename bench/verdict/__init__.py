"""The verdict, measured: beside its peers, on generated and on recorded traffic, every figure with its interval.

In: nothing but a seed, and public data sets where they are at hand. Out: a table, `bench/results/verdict.json` and,
of a full run, `RESULTS.md`. Never: a parameter of the product, or a figure not measured in the run that prints it.
"""
