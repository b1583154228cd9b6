"""The live screen: what is being shipped, how much traffic it has, and the judge's sentence, as they change."""

import time
from collections import deque
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from onejob.demo.narrator import Scene
from onejob.demo.report import Shipped

EVENTS_SHOWN = 9
_COLOURS = {"worse": "bold red", "better": "bold green", "no_worse": "green", "undecided": "yellow"}


class Screen:
    """`traffic` says in a few words what customers meet at the moment."""

    def __init__(self, console: Console, url: str, traffic: Callable[[], str]) -> None:
        self._url = url
        self._traffic = traffic
        self._started = time.monotonic()
        self._events: deque[str] = deque(maxlen=EVENTS_SHOWN)
        self._results: list[Shipped] = []
        self._scene = Scene(version="")
        self._live = Live(self._draw(), console=console, refresh_per_second=4)
        self._live.start()

    def say(self, text: str) -> None:
        self._events.append(f"{time.monotonic() - self._started:6.1f} s  {text}")
        self._live.update(self._draw())

    def show(self, scene: Scene) -> None:
        self._scene = scene
        self._live.update(self._draw())

    def shipped(self, result: Shipped) -> None:
        self._results.append(result)
        self._live.update(self._draw())

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> RenderableType:
        title = f"onejob demo · {self._url}/deployments"
        return Panel(Group(self._present(), Text(), self._past(), Text(), self._record()), title=title)

    def _present(self) -> RenderableType:
        scene = self._scene
        grid = Table.grid(padding=(0, 2))
        grid.add_row("Customers", Text(self._traffic()))
        if scene.share is not None:
            share = Table.grid(padding=(0, 1))
            share.add_row(ProgressBar(total=1.0, completed=scene.share, width=40), f"{scene.share:.0%}")
            grid.add_row(f"checkout {scene.version}", share)
            grid.add_row("Requests", f"{scene.requests:,} by customers so far")
            grid.add_row("Verdict", Text(scene.sentence or scene.state, style=_COLOURS.get(scene.state, "")))
        return grid

    def _past(self) -> RenderableType:
        lines = [
            f"{each.version}  [{_COLOURS.get(each.verdict, 'default')}]{each.verdict}[/]  {escape(each.sentence)}"
            for each in self._results
        ]
        return Text.from_markup("\n".join(lines))

    def _record(self) -> RenderableType:
        return Text("\n".join(self._events), style="dim")
