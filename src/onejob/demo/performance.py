"""One performance of the demo: server, shop and story put together, and taken apart again whatever happens."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from onejob.demo import report as reports
from onejob.demo.api import Onejob
from onejob.demo.keeper import Keeper
from onejob.demo.narrator import Lines, Narrator, results
from onejob.demo.processes import Child, Processes
from onejob.demo.screen import Screen
from onejob.demo.server import Server
from onejob.demo.stage import Stage
from onejob.demo.story import Story
from onejob.demo.truth import FIRST_VERSION, Version, draw


@dataclass(frozen=True, slots=True)
class House:
    """Where the demo plays: a server that judges, and a shop with customers in it."""

    stage: Stage
    server: Server
    onejob: Onejob
    customers: Child
    keeper: Keeper


def perform(console: Console, *, headless: bool, report: Path | None, seed: int, keep: bool) -> bool:
    """Whether the judge was right about every version."""
    started = time.monotonic()
    planned, shipped = draw(seed), list[reports.Shipped]()
    try:
        with open_house(console, keep=keep) as house:
            shipped.extend(_play(console, house, planned, headless=headless))
            console.print(results(shipped, planned))
            if keep:
                house.keeper.keep()
                url = f"{house.server.url}/deployments"
                console.print(f"Everything goes on: {url}. Stop it with: kill {house.keeper.pid}")
    finally:
        if report is not None:  # of what had ended, where something broke
            reports.write(report, reports.document(seed, time.monotonic() - started, shipped))
    return reports.is_all_right(planned, shipped)


def _play(console: Console, house: House, planned: tuple[Version, ...], *, headless: bool) -> Iterator[reports.Shipped]:
    narrator: Narrator = Lines(console)
    if not headless:
        narrator = Screen(console, house.server.url, lambda: _traffic(house.customers))
    try:
        yield from Story(house.stage, house.onejob, narrator).tell(planned)
    finally:
        narrator.close()


@contextmanager
def open_house(console: Console, *, keep: bool = False) -> Iterator[House]:
    """Everything that runs, with customers in the shop; closed at the end unless it is to be kept and all went well."""
    folder = demo_folder()
    keeper = Keeper(folder)
    processes = Processes(folder / "logs", keeper)
    is_kept = False
    try:
        yield _set_up(console, folder, keeper, processes)
        is_kept = keep
    finally:
        if not is_kept:
            processes.stop_all()
            keeper.clean_up()


def _set_up(console: Console, folder: Path, keeper: Keeper, processes: Processes) -> House:
    server = Server(folder, processes)
    stage = Stage(folder, processes, server.telemetry)
    console.print("Starting onejob and a small shop ...")
    child = server.start()
    stage.open(FIRST_VERSION)
    server.wait_until_ready(child)
    console.print(f"Deployments are at {server.url}/deployments", soft_wrap=True)
    return House(stage, server, Onejob(server.url), stage.let_customers_in(), keeper)


def demo_folder() -> Path:
    """Short, because it will hold sockets; open to others, because PostgreSQL does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="onejob-demo-"))
    folder.chmod(0o711)
    (folder / "logs").mkdir()
    return folder


def _traffic(customers: Child) -> str:
    lines = customers.last_words(1)
    if not lines:
        return "are arriving"
    last = json.loads(lines)
    return f"{last['rate']:.0f} requests/s, {last['failures']} failed, p50 {last['p50_ms']} ms, p95 {last['p95_ms']} ms"
