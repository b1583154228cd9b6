"""What commands print: documents for programs, tables for people, plain lines for logs.

Names of services, versions and operations come from telemetry, so anybody may have written them: control characters,
which a terminal would obey, are replaced.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from onejob import words

if TYPE_CHECKING:
    from rich.table import Table

MARKS = {"worse": "x worse", "undecided": "? undecided", "no_worse": "= no worse", "better": "+ better"}
STYLES = {"worse": "bold red", "undecided": "yellow", "no_worse": "cyan", "better": "green"}


def clean(value: object) -> str:
    """Text that does nothing but be read; empty for None."""
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def is_terminal() -> bool:
    """Whether a person is reading standard output."""
    return sys.stdout.isatty()


def print_json(document: object) -> None:
    """The document as the server sent it; escaped, so that no terminal obeys it."""
    print(json.dumps(document, indent=2, ensure_ascii=True))


def note(sentence: str) -> None:
    """For people, so that standard output stays for programs."""
    print(sentence, file=sys.stderr, flush=True)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """One line per field that has a value."""
    shown = [(name, clean(value)) for name, value in fields if value not in (None, "", [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name:<{width}}  {value}")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> "Table":
    """A Rich table of plain text: markup in a name stays text. The words of a verdict get its colour."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    styles = {MARKS[state]: style for state, style in STYLES.items()}
    for row in rows:
        cells = [clean(cell) for cell in row]
        made.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in cells))
    return made


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on a terminal; elsewhere lines with tabs, which are easy to cut. Where there are none, a note says so."""
    shown = list(rows)
    if not shown:
        note("None.")
        return
    if is_terminal():
        from rich.console import Console

        Console().print(table(headings, shown))
        return
    for row in shown:
        print("\t".join(clean(cell) for cell in row))


def parse_time(text: str | None) -> datetime | None:
    """A moment of the API; None for none, and for what is no time."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def ago(text: str | None, now: datetime) -> str:
    """`12 min ago`; empty for no time."""
    moment = parse_time(text)
    return words.ago(moment, now) if moment else ""


def moment(text: str | None, now: datetime) -> str:
    """`2026-03-01 12:00:00 UTC (12 min ago)`; empty for no time."""
    found = parse_time(text)
    return f"{words.absolute(found)} ({words.ago(found, now)})" if found else ""


def share(fraction: float | None) -> str:
    """`0.1` -> `10 %`; empty where nothing is known."""
    return "" if fraction is None else words.percent(fraction)


def in_words(name: object) -> str:
    """`in_progress` -> `in progress`."""
    return str(name or "").replace("_", " ")


def verdict_mark(verdict: dict[str, Any] | None) -> str:
    """A mark and a word, never colour alone."""
    state = str((verdict or {}).get("state", "undecided"))
    return MARKS.get(state, state)
