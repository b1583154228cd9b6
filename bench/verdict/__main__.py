"""The whole benchmark of the verdict, in one run: `make bench-verdict`, `make bench-verdict ARGS=--quick`.

python -m bench.verdict [--quick] [--only NAME ...] [--data DIR] [--json FILE]
"""

import argparse
import os
import sys
from pathlib import Path

from bench.verdict import datasets, results
from rich.console import Console

DATA = "ONEJOB_BENCH_DATA"


def main() -> int:
    benches = datasets.found()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a first look in under five minutes")
    parser.add_argument("--only", nargs="+", choices=sorted(benches), default=sorted(benches), metavar="NAME")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get(DATA, "data")), help=f"default: ${DATA}")
    parser.add_argument("--json", type=Path, default=Path("bench/results/verdict.json"))
    chosen = parser.parse_args()
    console = Console()
    wanted = {name: benches[name] for name in chosen.only}
    rows = list(datasets.run(wanted, chosen.data, chosen.quick, console.print))
    order = list(results.Measure)
    rows.sort(key=lambda row: order.index(row.measure))
    console.print(results.table(rows))
    results.write(rows, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
