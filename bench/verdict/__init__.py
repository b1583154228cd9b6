"""The verdict, measured: beside its peers, on generated and on recorded traffic, every figure with its interval.

In: nothing but a seed, and public data sets where they are at hand. Out: a table, `bench/results/verdict.json` and,
of a full run, `RESULTS.md`. Never: a parameter of the product, or a figure not measured in the run that prints it.
"""

import os

# Before numpy is loaded, which reads them then: one thread each, as `onejob serve` has. More would compete for the
# cores that the benchmark's processes use, and their waiting for each other would count as seconds of the judge.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
