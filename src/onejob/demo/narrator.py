"""Telling the story as it happens: as plain lines, or as one live screen (see `screen.py`)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.table import Table

from onejob.demo.report import Shipped
from onejob.demo.truth import Truth, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The present moment: which version is being shipped, and what is known of it."""

    version: str
    share: float | None = None
    requests: int = 0
    state: str = ""
    sentence: str = ""


class Narrator(Protocol):
    def say(self, text: str) -> None:
        """Something happened; it stays on record."""

    def show(self, scene: Scene) -> None:
        """This is how it is now."""

    def shipped(self, result: Shipped) -> None:
        """A version's rollout has ended."""

    def close(self) -> None:
        """The story is over."""


class Lines:
    """One line per event, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        self._console.print(
            f"{time.monotonic() - self._started:6.1f} s  {text}", highlight=False, markup=False, soft_wrap=True
        )

    def show(self, scene: Scene) -> None:
        """Lines tell events only."""

    def shipped(self, result: Shipped) -> None:
        self.say(f"{result.version}: {result.verdict} ({_right(result)}).")

    def close(self) -> None:
        """Nothing is held open."""


def results(shipped: Sequence[Shipped], planned: Sequence[Version]) -> Table:
    """The table at the end, where it is finally told what every version really was."""
    table = Table(title="What was shipped, and what the judge made of it")
    for column in ("version", "what it really was", "verdict", "after", "requests", "rolled back in", "explained by"):
        table.add_column(column, overflow="fold")
    about = {version.name: version.about for version in planned}
    for each in shipped:
        mark = "✓" if each.is_right else "✗"
        table.add_row(
            each.version,
            about[each.version],
            f"{mark} {each.verdict}",
            _seconds(each.seconds_to_verdict),
            "" if each.requests_to_verdict is None else str(each.requests_to_verdict),
            _seconds(each.seconds_to_rollback),
            "\n".join(filter(None, (each.explained_operation, each.explained_attribute, each.explained_span))),
        )
    return table


def _right(result: Shipped) -> str:
    if result.is_right and result.truth == Truth.HARMLESS:
        return "right: it is harmless, and nothing is held against it"
    return "right" if result.is_right else "wrong"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"
