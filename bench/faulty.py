"""Canaries that break as processes, not as code: one exits on a fifth of its requests, one never answers, one hangs.

They send few spans or none, so what convicts them is what Envoy counts. Each must end `worse` and rolled back.

    python bench/faulty.py --faults exits silent hangs
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from onejob.demo import report
from onejob.demo.narrator import Lines, results
from onejob.demo.performance import open_house
from onejob.demo.shop.variant import Breakdown
from onejob.demo.story import Story
from onejob.demo.truth import broken

RESULTS = Path(__file__).parent / "results" / "faulty.json"
BREAKDOWNS: tuple[Breakdown, ...] = ("exits", "silent", "hangs")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", nargs="+", choices=BREAKDOWNS, default=BREAKDOWNS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    console = Console()
    planned = [broken(how) for how in arguments.faults]
    with open_house(console) as house:
        shipped = Story(house.stage, house.onejob, Lines(console)).tell(planned)
    report.write(arguments.results, report.document(0, 0.0, shipped))
    console.print(results(shipped, planned))
    return 0 if all(each.is_right and each.rolled_back for each in shipped) else 1


if __name__ == "__main__":
    sys.exit(main())
