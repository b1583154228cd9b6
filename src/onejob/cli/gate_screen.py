"""What a waiting gate shows: a live table to a person, a line per change to a log, nothing to a program."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from onejob import words
from onejob.cli.client import Api, Document
from onejob.cli.errors import CliError
from onejob.cli.output import clean, is_terminal, note, table, verdict_mark
from onejob.cli.signals import HEADINGS, signal_rows

if TYPE_CHECKING:
    from rich.console import Group

_MOST_ROWS = 15


class Seen(Protocol):
    """One answer, or the error that stands for it."""

    @property
    def document(self) -> Document | None: ...

    @property
    def error(self) -> Any: ...


Show = Callable[[Seen, float], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is waited for."""

    api: Api
    service: str
    version: str
    timeout_s: float
    is_quiet: bool = False


@contextmanager
def open_screen(waiting: Waiting) -> Iterator[Show]:
    """A function to be called with every answer and the seconds waited."""
    if waiting.is_quiet:
        yield lambda _look, _waited_s: None
    elif is_terminal():
        with _live(waiting) as show:
            yield show
    else:
        yield _line_per_change(waiting)


def _line_per_change(waiting: Waiting) -> Show:
    said: list[str] = []

    def show(look: Seen, waited_s: float) -> None:
        sentence = _sentence(look)
        if said[-1:] != [sentence]:
            said.append(sentence)
            note(f"[{_waited(waiting, waited_s)}] {sentence}")

    return show


@contextmanager
def _live(waiting: Waiting) -> Iterator[Show]:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False, transient=True) as live:
        yield lambda look, waited_s: live.update(_screen(waiting, look, waited_s), refresh=True)


def _screen(waiting: Waiting, look: Seen, waited_s: float) -> "Group":
    from rich.console import Group
    from rich.text import Text

    head = Text(f"{clean(waiting.service)} {clean(waiting.version)}", style="bold")
    left = Text(f"waiting {_waited(waiting, waited_s)}", style="dim")
    rows = signal_rows(_signals(waiting.api, look.document))
    evidence = [table(HEADINGS, rows[:_MOST_ROWS])] if rows else []
    more = [Text(f"and {len(rows) - _MOST_ROWS} more", style="dim")] if len(rows) > _MOST_ROWS else []
    return Group(head, Text(_sentence(look)), *evidence, *more, left)


def _waited(waiting: Waiting, waited_s: float) -> str:
    return f"{words.elapsed(waited_s)} of {words.elapsed(waiting.timeout_s)}"


def _signals(api: Api, document: Document | None) -> list[dict[str, Any]]:
    """The table is an extra: if it cannot be had now, the wait goes on without."""
    if document is None:
        return []
    with contextlib.suppress(CliError):
        found = api.get(f"api/v1/deployments/{document['deployment_id']}")
        return list((found.get("verdict") or {}).get("signals") or [])
    return []


def _sentence(look: Seen) -> str:
    if look.document is None:
        return f"Not yet: {look.error}"
    verdict = look.document["verdict"]
    rollout = look.document.get("rollout")
    share = f" [{rollout['share']:.0%} of the traffic]" if rollout else ""
    return f"{verdict_mark(verdict)}: {clean(verdict.get('sentence'))}{share}"
