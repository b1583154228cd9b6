"""How often are identical processes told apart? Harmless canaries through the real judge, on the demo's real shop.

Every pair is two fresh processes of the same code: the serving version starts afresh in its slot, the "new" version in
the other one, and is shipped by the demo's rollout (10 % for 20 s, 50 % for 60 s, 100 %). After a promotion the slots
have swapped. `worse` must never come out. About 100 s a pair.

    python bench/harmless.py --pairs 30
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from onejob.act.drivers.envoy import EnvoyDriver
from onejob.demo.errors import DemoError
from onejob.demo.narrator import Lines
from onejob.demo.performance import House, open_house
from onejob.demo.report import Shipped
from onejob.demo.shop.variant import Variant
from onejob.demo.stage import Stage
from onejob.demo.story import BASELINE_S, Story
from onejob.demo.truth import FIRST_VERSION, Truth, Version

RESULTS = Path(__file__).parent / "results" / "harmless.json"
DRAIN_S = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    console = Console()
    shipped: list[Shipped] = []
    with open_house(console) as house:
        try:
            _ship_pairs(house, Lines(console), arguments.pairs, shipped)
        except DemoError as error:
            console.print(f"Stopped after {len(shipped)} pairs: {error}", markup=False)
        finally:
            _write(arguments.results, shipped, arguments.pairs)
    console.print(_table(shipped))
    return 0 if len(shipped) == arguments.pairs and not _count(shipped, "worse") else 1


def _ship_pairs(house: House, lines: Lines, pairs: int, shipped: list[Shipped]) -> None:
    story = Story(house.stage, house.onejob, lines)
    time.sleep(BASELINE_S)
    serving = FIRST_VERSION
    for number in range(1, pairs + 1):
        if number > 1:
            start_afresh(house.stage, serving)
        version = Version(name=f"pair-{number}", about="the same code", truth=Truth.HARMLESS, variant=Variant())
        shipped.append(story.ship(version))
        lines.say(f"{number} of {pairs}: {shipped[-1].verdict}. {shipped[-1].sentence}")
        serving = serving if shipped[-1].rolled_back else version.name


def start_afresh(stage: Stage, version: str) -> None:
    """Replace the serving process by a new one in the same slot; meanwhile a third one in the other slot serves."""
    driver = EnvoyDriver(stage.driver_settings())
    stage.settle(version, Variant(), stage.spare)
    driver.set_share(1.0)
    time.sleep(DRAIN_S)
    stage.clear(stage.active)
    stage.settle(version, Variant(), stage.active)
    driver.set_share(0.0)
    time.sleep(DRAIN_S)
    stage.clear(stage.spare)
    driver.close()


def _count(shipped: list[Shipped], verdict: str) -> int:
    return sum(each.verdict == verdict for each in shipped)


def _write(path: Path, shipped: list[Shipped], planned: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = {verdict: _count(shipped, verdict) for verdict in ("worse", "better", "no_worse", "undecided")}
    rows = [asdict(each) for each in shipped]
    path.write_text(json.dumps({"planned": planned, "pairs": len(shipped), **counts, "rows": rows}, indent=2) + "\n")


def _table(shipped: list[Shipped]) -> Table:
    table = Table(title="Identical processes, judged")
    for column in ("pairs", "worse", "better", "no worse", "undecided", "rolled back"):
        table.add_column(column, justify="right")
    counts = [_count(shipped, verdict) for verdict in ("worse", "better", "no_worse", "undecided")]
    table.add_row(*map(str, (len(shipped), *counts, sum(each.rolled_back for each in shipped))))
    return table


if __name__ == "__main__":
    sys.exit(main())
