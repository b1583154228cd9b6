"""How often are identical processes told apart? Harmless canaries through the real judge, on the demo's real shop.

Every pair is two fresh processes of the same code: the serving version starts afresh in its slot, the "new" version in
the other one, and is shipped by the demo's rollout (10 % for 20 s, 50 % for 60 s, 100 %). After a promotion the slots
have swapped. `worse` must never come out. About 100 s a pair. A rollout that has not ended after five minutes was held
at a limit that noise alone kept it from excluding: it is counted apart, and everything starts anew.

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
    held = 0
    while len(shipped) + held < arguments.pairs:
        with open_house(console) as house:
            try:
                _ship_pairs(house, Lines(console), arguments.pairs - held, shipped)
            except DemoError as error:
                held += 1
                console.print(f"After {len(shipped)} pairs one was held, the shop starts anew: {error}", markup=False)
            finally:
                _write(arguments.results, shipped, held, arguments.pairs)
    console.print(_table(shipped, held))
    return 1 if held or _count(shipped, "worse") else 0


def _ship_pairs(house: House, lines: Lines, pairs: int, shipped: list[Shipped]) -> None:
    """Ship until there are so many; DemoError when a rollout does not end."""
    story = Story(house.stage, house.onejob, lines)
    time.sleep(BASELINE_S)
    serving = FIRST_VERSION
    while len(shipped) < pairs:
        number = len(shipped) + 1
        if serving != FIRST_VERSION:
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


def _write(path: Path, shipped: list[Shipped], held: int, planned: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = {verdict: _count(shipped, verdict) for verdict in ("worse", "better", "no_worse", "undecided")}
    rows = [asdict(each) for each in shipped]
    path.write_text(
        json.dumps({"planned": planned, "pairs": len(shipped), "held": held, **counts, "rows": rows}, indent=2) + "\n"
    )


def _table(shipped: list[Shipped], held: int) -> Table:
    table = Table(title="Identical processes, judged")
    for column in ("pairs", "worse", "better", "no worse", "undecided", "rolled back", "held"):
        table.add_column(column, justify="right")
    counts = [_count(shipped, verdict) for verdict in ("worse", "better", "no_worse", "undecided")]
    table.add_row(*map(str, (len(shipped), *counts, sum(each.rolled_back for each in shipped), held)))
    return table


if __name__ == "__main__":
    sys.exit(main())
