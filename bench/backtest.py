"""How long judging a month again takes: 300 deployments of 20 services in 30 days, on one core.

    python bench/backtest.py [--days 30] [--services 20] [--deployments 300] [--json bench/results/backtest.json]

The month is generated as rows of the rollup, in bins of 10 s: four operations on two instances per service, a day in
their traffic. Half of the deployments replace both instances at once, half one ten minutes after the other; a fifth is
bad: errors six times as many, or durations 41 % up. What is measured is processor time of this process and the engine's
together, from the question to the report; the generating is not. The limit stands beside it.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from onejob.config import Settings
from onejob.history.backtest import Materials, Period, run_backtest
from onejob.history.facts import NoFacts
from onejob.model.backtest import Backtest
from onejob.store.chdb import ChdbEngine
from onejob.store.engine import open_engine
from onejob.store.past import Past
from onejob.verdict.batches import judge_settings

LIMIT_S = 600.0
DAY_S, WIDTH_S = 86_400, 10
OPERATIONS, INSTANCES = 4, 2
MEAN = 8.0  # requests of the busiest operation per bin and instance
ROLLING_S = 600
BAD = 5  # every fifth
SQL = Path(__file__).with_suffix(".sql").read_text()
_TICKS = os.sysconf("SC_CLK_TCK")


def generate(engine: ChdbEngine, services: int, deployments: int, since: int, days: int) -> None:
    """Store the month of every service."""
    rng = np.random.default_rng(1)
    for number in range(services):
        mine = deployments // services + (number < deployments % services)
        # A day of the past at least, and an hour of the future; not two of a service within the same hour.
        room = np.arange(since + DAY_S, since + days * DAY_S - 3_600, 3 * 3_600)
        starts = np.sort(rng.choice(room, mine, replace=False)) + rng.integers(0, 3_600)
        moments = [[int(at), int(at) + ROLLING_S * (i % 2)] for i, at in enumerate(starts)]
        sql = SQL.format(
            service=f"service-{number:02}",
            moments=moments or "[[4102444800, 4102444800]]",
            bad=[n for n in range(1, mine + 1) if n % BAD == 0] or [0],
            since=since,
            width=WIDTH_S,
            operations=OPERATIONS,
            instances=INSTANCES,
            mean=MEAN,
        )
        a_day = DAY_S // WIDTH_S * OPERATIONS * INSTANCES
        for day in range(days):
            engine.execute(f"{sql} FROM numbers_mt({day * a_day}, {a_day})) WHERE requests > 0")


def judged(engine: ChdbEngine, settings: Settings, since: int, days: int, console: Console) -> tuple[Backtest, float]:
    """The report, and the processor time it took, in seconds."""
    materials = Materials(
        past=Past(engine, settings.default_environment, settings.bin_width_s),
        facts=NoFacts(),
        told=lambda service, _: judge_settings(settings, service),
        settings=settings,
        spans=engine,
    )
    first, last = (datetime.fromtimestamp(since, UTC) + timedelta(days=n) for n in (0, days))
    told = [-1]

    def tell(done: int, of: int, _: str, found: int) -> None:
        if done != told[0]:
            told[0] = done
            console.print(f"{done} of {of} services, {found} deployments", highlight=False)

    before = cpu_s(engine)
    report = run_backtest(materials, Period(since=first, until=last), "bkt_bench", "generated", tell)
    return report, cpu_s(engine) - before


def cpu_s(engine: ChdbEngine) -> float:
    """Of this process and of the engine's."""
    fields = Path(f"/proc/{engine.pid}/stat").read_text().rpartition(")")[2].split()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime + (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--deployments", type=int, default=300)
    parser.add_argument("--json", type=Path, default=Path("bench/results/backtest.json"))
    chosen = parser.parse_args()
    console = Console()
    since = int(time.time()) // DAY_S * DAY_S - chosen.days * DAY_S
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), bin_width_s=WIDTH_S, rollup_retention_days=400)
        engine = open_engine(settings)
        assert isinstance(engine, ChdbEngine)
        try:
            console.print("Generating ...")
            generate(engine, chosen.services, chosen.deployments, since, chosen.days)
            began = time.monotonic()
            report, cpu = judged(engine, settings, since, chosen.days, console)
            wall = time.monotonic() - began
        finally:
            engine.close()
    found = len(report.deployments)
    states = Counter(one.verdict.state.value for one in report.deployments)
    table = Table(title=f"{chosen.days} days, {chosen.services} services")
    for column in ("deployments", "worse", "looks", "wall s", "CPU s", "a deployment", "limit"):
        table.add_column(column, justify="right")
    looks = sum(one.looks for one in report.deployments)
    row = (found, states["worse"], looks, f"{wall:.0f}", f"{cpu:.0f}", f"{cpu / max(found, 1):.2f}", f"{LIMIT_S:g}")
    table.add_row(*map(str, row))
    console.print(table)
    result = {"days": chosen.days, "services": chosen.services, "planned": chosen.deployments, "found": found}
    result |= {"states": states, "looks": looks, "wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "limit_s": LIMIT_S}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if found == chosen.deployments and cpu <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
