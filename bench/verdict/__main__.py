"""The whole benchmark of the verdict, in one run: `make bench-verdict`, `make bench-verdict ARGS=--quick`.

    python -m bench.verdict [--quick] [--only NAME ...] [--data DIR] [--json FILE] [--workers N] [--page FILE]

A full run of everything writes RESULTS.md too. Both files are written anew after each benchmark. Fails when a benchmark
could not be run; a target that is missed is a result.
"""

import argparse
import os
import shlex
import sys
import time
from functools import partial
from pathlib import Path

from bench.verdict import benches, report, results, workers
from rich.console import Console

DATA = "ONEJOB_BENCH_DATA"
_WIDE = 180  # characters of a file that is read later


def main() -> int:
    known = benches.known()
    chosen = _arguments(sorted(known))
    workers.use(chosen.workers)
    console, began = Console(), time.monotonic()
    if not console.is_terminal:
        console.width = _WIDE

    def keep(found: benches.Found) -> None:
        found.rows.sort(key=lambda row: list(results.Measure).index(row.measure))
        results.write(found.rows, chosen.json)
        if chosen.page is not None:
            minutes = (time.monotonic() - began) / 60
            chosen.page.write_text(report.page(found, _command(), minutes, workers.cpu_s() / 60))

    say = partial(console.print, markup=False)
    found = benches.run({n: run for n, run in known.items() if n in chosen.only}, chosen.data, chosen.quick, say, keep)
    console.print(results.table(found.rows))
    return 1 if found.failed else 0


def _arguments(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a first look in under five minutes")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get(DATA, "data")), help=f"default: ${DATA}")
    parser.add_argument("--json", type=Path, default=Path("bench/results/verdict.json"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; default: one per core")
    parser.add_argument("--page", type=Path, help="also write the page there; default for a full run: RESULTS.md")
    chosen = parser.parse_args()
    if chosen.page is None and not chosen.quick and sorted(chosen.only) == names:
        chosen.page = report.PAGE
    return chosen


def _command() -> str:
    words = [word for word in sys.argv[1:] if not word.startswith("--data")]
    return "make bench-verdict" + (f' ARGS="{shlex.join(words)}"' if words else "")


if __name__ == "__main__":
    sys.exit(main())
