"""Which real client sent what to which door, and what was read back: tests that use one say so, `make doors` writes it.

In any other run a test fails whose row is not on the page, and `test_repository` fails for a door without a row; so the
page tells of what is tested, and of nothing else.
"""

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
# What is no request to a port and hands telemetry to the spool all the same: its module, its name on the page.
OTHERS = {"scrape/scraper.py": "scraping", "backfill.py": "import"}
_PORTS = {"otlp_http.py", "otlp_grpc.py"}
_MOST_NAMES = 4
_METHODS = {method.rpartition(".")[2]: kind for method, kind in otlp_grpc.EXPORTS.items()}  # TraceService/Export
_KINDS = otlp_dialect.PATHS | _METHODS
_CELL = str.maketrans({"|": "\\|", "\n": " ", "`": "'"})
_NAMES = {
    "otel_traces": "SpanName",
    "otel_logs": "if(EventName != '', EventName, Body)",
    **dict.fromkeys((f"otel_metrics_{kind}" for kind in POINTS), "MetricName"),
}
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
    """`client` is without its version, which another machine may have another one of."""

    door: str
    client: str
    sent: str
    version: str
    read_back: str

    @property
    def line(self) -> str:
        client = f"{self.client} {self.version}".strip()
        return f"| `{self.door}` | {client} | {self.sent.translate(_CELL)} | {self.read_back} |"

    def is_in(self, page: str) -> bool:
        start, end = f"| `{self.door}` | {self.client}", f" | {self.sent.translate(_CELL)} | "
        return any(line.startswith(start) and end in line for line in page.splitlines())


def product_doors() -> set[str]:
    """As the ports list them, and the others."""
    paths = {path for path in otlp_http._DIALECTS if path != otlp_dialect.PROFILES}
    return paths | {sentry.SHOWN_PATH} | set(_METHODS) | set(OTHERS.values())


def modules_that_spool() -> set[str]:
    """Those that hand telemetry to the spool, besides the two ports."""
    folder = Path(onejob.__file__).parent / "ingest"
    calling = (path for path in folder.rglob("*.py") if ".check_and_spool" in path.read_text())
    return {str(path.relative_to(folder)) for path in calling} - _PORTS


def doors_on_page() -> set[str]:
    return {line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")}


def write(rows: Iterable[Row]) -> None:
    PAGE.write_text(HEAD + "".join(f"{row.line}\n" for row in sorted(rows)))


def telling(config: pytest.Config) -> Said:
    """`door(path or method, client, its version, what it sent, engine, service)`: call it when all has arrived."""

    def said(door: str, client: str, version: str, sent: str, engine: Engine, service: str) -> None:
        kind = _KINDS.get(door, "")
        row = Row(door, client, sent, version, _read_back(engine, f"otel_{kind}", service))
        if config.getoption(OPTION):
            config.stash[ROWS].add(row)
        else:
            assert row.is_in(PAGE.read_text()), f"docs/doors.md does not have this row: make doors\n{row.line}"

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
