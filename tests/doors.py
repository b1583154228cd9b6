"""Which real client sent what to which door, and what was read back: tests that use one say so, `make doors` writes it.

In any other run a test fails whose row is not on the page as it would be written, and `test_repository` fails for a
door without a row. A row whose test is gone is found where all of them run: each writes down what it has seen in the
file that DOORS_SEEN names, and then `python tests/doors.py FILE` fails for the rows that nobody saw. So the page tells
of what is tested, and of nothing else.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

import onejob
from onejob.ingest import otlp_dialect, otlp_grpc, otlp_http
from onejob.ingest.sentry import http as sentry
from onejob.model.telemetry import POINTS
from onejob.store.engine import Engine

PAGE = Path(__file__).resolve().parent.parent / "docs/doors.md"
OPTION = "--write-doors"
SEEN = "DOORS_SEEN"
# What is no request to a port and hands telemetry to the spool all the same: its module, its name on the page.
OTHERS = {"scrape/scraper.py": "scraping", "backfill.py": "import"}
_PORTS = {"otlp_http.py", "otlp_grpc.py"}
_OWN = {"own/telemetry.py"}  # what onejob says of itself, which nobody sends
_MOST_NAMES = 4
_METHODS = {method.rpartition(".")[2]: kind for method, kind in otlp_grpc.EXPORTS.items()}  # TraceService/Export
_KINDS = otlp_dialect.PATHS | _METHODS
_CELL = str.maketrans({"|": "\\|", "\n": " ", "`": "'"})
_NAMES = {
    "otel_traces": "SpanName",
    "otel_logs": "if(EventName != '', EventName, Body)",
    **dict.fromkeys((f"otel_metrics_{kind}" for kind in POINTS), "MetricName"),
}
# Their versions are not pinned here.
_OF_THE_MACHINE = ("Prometheus", "Chromium", "nginx", "HAProxy", "Apache")
_MORE = re.compile(r" and \d+ more")  # a name more or less is a matter of when they were read
HEAD = """<!-- Made by `make doors` out of the tests; change those, not this page. -->

# Doors, and who was seen to use them

Each row is a test: a client as its users have it sent something to a running server, and the test read it back from
the tables, field by field. Shown are the names of what was found: of spans, of events or log messages, of metrics. The
doors themselves are on the pages about [connecting](connect.md), [Prometheus](how-to-prometheus.md),
[Loki](how-to-loki.md), [Sentry](how-to-sentry.md), [access logs](how-to-access-logs.md), [browsers](browser.md) and
[imports](import.md).

| door | client | sent | read back |
|---|---|---|---|
"""

ROWS = pytest.StashKey[set["Row"]]()
Said = Callable[[str, str, str, str, Engine, str], None]


@dataclass(frozen=True, order=True, slots=True)
class Row:
    """`client` is without its version: of one that the machine has, another machine may have another one."""

    door: str
    client: str
    sent: str
    version: str
    read_back: str

    @property
    def line(self) -> str:
        client = f"{self.client} {self.version}".strip()
        return f"| `{self.door}` | {client} | {self.sent.translate(_CELL)} | {self.read_back} |"

    @property
    def mark(self) -> str:
        return "\t".join((self.door, self.client, self.sent.translate(_CELL)))

    def is_in(self, page: str) -> bool:
        """What it found is compared as well, unless it comes of another version than the one on the page."""
        (line, *_) = [*(line for line in page.splitlines() if _is_of(line, self.mark)), ""]
        is_other = self.client.endswith(_OF_THE_MACHINE) and f" {self.version} | " not in line
        return bool(line) and (is_other or _MORE.sub("", line) == _MORE.sub("", self.line))


def _is_of(line: str, mark: str) -> bool:
    door, client, sent = mark.split("\t")
    return line.startswith(f"| `{door}` | {client}") and f" | {sent} | " in line


def product_doors() -> set[str]:
    """As the ports list them, and the others."""
    paths = {path for path in otlp_http._DIALECTS if path != otlp_dialect.PROFILES}
    return paths | {sentry.SHOWN_PATH} | set(_METHODS) | set(OTHERS.values())


def modules_that_spool() -> set[str]:
    """Those that hand telemetry to the spool, besides the two ports."""
    folder = Path(onejob.__file__).parent / "ingest"
    calling = (path for path in folder.rglob("*.py") if ".check_and_spool" in path.read_text())
    return {str(path.relative_to(folder)) for path in calling} - _PORTS - _OWN


def doors_on_page() -> set[str]:
    return {line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")}


def rows_unseen(seen: Path) -> list[str]:
    """Those on the page that no test has said, of all that wrote to this file."""
    marks = set(seen.read_text().splitlines())
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return [line for line in lines if not any(_is_of(line, mark) for mark in marks)]


def write(rows: Iterable[Row]) -> None:
    PAGE.write_text(HEAD + "".join(f"{row.line}\n" for row in sorted(rows)))


def telling(config: pytest.Config) -> Said:
    """`door(path or method, client, its version, what it sent, engine, service)`: call it when all has arrived."""

    def said(door: str, client: str, version: str, sent: str, engine: Engine, service: str) -> None:
        kind = _KINDS.get(door, "")
        row = Row(door, client, sent, version, _read_back(engine, f"otel_{kind}", service))
        if config.getoption(OPTION):
            config.stash[ROWS].add(row)
            return
        if seen := os.environ.get(SEEN):
            with Path(seen).open("a") as file:
                file.write(f"{row.mark}\n")
        assert row.is_in(PAGE.read_text()), f"docs/doors.md does not say this: make doors\n{row.line}"

    return said


def _read_back(engine: Engine, prefix: str, service: str) -> str:
    tables = (table for table in _NAMES if table.startswith(prefix))
    found = {table: _names(engine, table, service) for table in tables}
    return "; ".join(f"`{table}`: {names}" for table, names in found.items() if names)


def _names(engine: Engine, table: str, service: str) -> str:
    sql = f"SELECT DISTINCT {_NAMES[table]} AS name FROM {table} WHERE ServiceName = {{service:String}} ORDER BY name"  # noqa: S608
    names = [str(row["name"]).translate(_CELL) for row in engine.query(sql, {"service": service}).to_pylist()]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


if __name__ == "__main__":
    unseen = rows_unseen(Path(sys.argv[1]))
    sys.exit("\n".join(["No test has seen these rows of docs/doors.md (make doors):", *unseen]) if unseen else 0)
