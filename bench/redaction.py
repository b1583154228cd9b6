"""What redaction costs the engine: `make bench-redaction`.

Two engines store the same batches in turns, one with the defaults of `ONEJOB_REDACTION`, one with all of them switched
off; each pair gives a ratio of their processor time, and the table has the median of the pairs and their range. In a
third of the rows nothing is to be hidden; in the others, one item in a hundred or each has an e-mail address and a
password. Merges are stopped, as they are not of one batch. Bodies of "log maps" are maps of eight entries, and have it
in them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onejob.config import Settings
from onejob.store.chdb import ChdbEngine
from onejob.store.engine import open_engine
from spans import log_requests, metric_requests, requests

PER_REQUEST = 500
# One item in so many has something to hide.
HIDES = {"nothing": 0, "1 in 100": 100, "each": 1}
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Kind:
    """How its requests are made and read, and the tables they fill."""

    make: Callable[[int, int, int], Iterable[bytes]]
    message: Any
    tables: tuple[str, ...]


KINDS = {
    "traces": Kind(requests, ExportTraceServiceRequest, ("otel_traces",)),
    "logs": Kind(log_requests, ExportLogsServiceRequest, ("otel_logs",)),
    "metrics": Kind(
        metric_requests,
        ExportMetricsServiceRequest,
        tuple(f"otel_metrics_{kind}" for kind in ("gauge", "sum", "histogram")),
    ),
}


def _log_maps(items: int, per_request: int, seed: int) -> Iterable[bytes]:
    for data in log_requests(items, per_request, seed):
        request = ExportLogsServiceRequest.FromString(data)
        for record in _items(request):
            message = record.body.string_value
            entries = record.body.kvlist_value.values
            entries.add(key="message").value.string_value = message
            for number in range(7):
                entries.add(key=f"part.{number}").value.string_value = message[number : number + 12]
        yield request.SerializeToString()


KINDS["log maps"] = Kind(_log_maps, ExportLogsServiceRequest, ("otel_logs",))


@dataclass(frozen=True)
class Row:
    """Processor time of the engine: microseconds for one item, and with redaction as a multiple of without."""

    what: str
    items_per_batch: int
    hides: str
    batches: int
    us_per_item_without: float
    us_per_item_with: float
    ratio: float
    lowest: float
    highest: float


class Engines:
    """Both, each with a data directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.without = _engine(folder / "without", [{"action": "keep", "default": "*"}])
        self.with_ = _engine(folder / "with", [])

    def close(self) -> None:
        self.without.close()
        self.with_.close()


def _engine(data_dir: Path, rules: list[dict[str, str]]) -> ChdbEngine:
    data_dir.mkdir()
    engine = open_engine(Settings(data_dir=data_dir, redaction=rules))  # type: ignore[arg-type]
    assert isinstance(engine, ChdbEngine)
    engine.execute("SYSTEM STOP MERGES")
    return engine


def measure(engines: Engines, what: str, items: int, batches: int, hides: str) -> Row:
    kind = KINDS[what]
    ratios, spent = [], {"with": 0.0, "without": 0.0}
    for number in range(-1, batches):  # the first one warms up
        payload = b"".join(_requests(kind, items, number + 2, HIDES[hides]))
        pairs = [("without", engines.without), ("with", engines.with_)]
        took = {
            name: _cpu_s(engine, kind.tables, payload, f"{what}{items}{hides}{number}")
            for name, engine in (pairs if number % 2 else reversed(pairs))
        }
        if number >= 0:
            ratios.append(took["with"] / took["without"])
            spent = {name: spent[name] + took[name] for name in spent}
    per_item = {name: seconds / batches / items * 1e6 for name, seconds in spent.items()}
    ratio = statistics.median(ratios)
    return Row(what, items, hides, batches, per_item["without"], per_item["with"], ratio, min(ratios), max(ratios))


def _requests(kind: Kind, items: int, seed: int, one_in: int) -> Iterable[bytes]:
    made = kind.make(items, min(PER_REQUEST, items), seed)
    return (_with_secrets(kind, data, one_in) for data in made) if one_in else made


def _with_secrets(kind: Kind, data: bytes, one_in: int) -> bytes:
    request = kind.message.FromString(data)
    for number, item in enumerate(_items(request)):
        if number % one_in == 0:
            for key, value in (("note", f"sent to user{number}@mail.example.org"), ("db.password", "hunter2")):
                is_map = kind.make is _log_maps
                (item.body.kvlist_value.values if is_map else item.attributes).add(key=key).value.string_value = value
    return bytes(request.SerializeToString())


def _items(request: Any) -> Iterable[Any]:
    """Its spans, log records or data points."""
    for of_resource in next(iter(request.ListFields()))[1]:
        for of_scope in of_resource.ListFields()[-1][1]:
            for item in of_scope.ListFields()[-1][1]:
                yield from getattr(item, item.WhichOneof("data")).data_points if hasattr(item, "unit") else (item,)


def _cpu_s(engine: ChdbEngine, tables: Iterable[str], payload: bytes, token: str) -> float:
    before = _ticks(engine)
    for table in tables:
        engine.insert(table, payload, token)
    return (_ticks(engine) - before) / _TICKS


def _ticks(engine: ChdbEngine) -> int:
    fields = Path(f"/proc/{engine.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench/results/redaction.json"))
    parser.add_argument("--items", type=int, default=40_000, help="items of one batch")
    parser.add_argument("--batches", type=int, default=20, help="pairs of batches per row")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engines = Engines(Path(folder))
        try:
            rows = [measure(engines, what, options.items, options.batches, hides) for hides in HIDES for what in KINDS]
        finally:
            engines.close()
    report(rows, options.json)


def report(rows: list[Row], path: Path) -> None:
    print(f"{'what':8} {'hides':8} {'a batch':>8} {'without':>11} {'with':>11} {'ratio':>6} {'range':>13}")
    for row in rows:
        times = [f"{us:.2f} us" for us in (row.us_per_item_without, row.us_per_item_with)]
        span = f"{row.lowest:.2f} to {row.highest:.2f}"
        cells = f"{row.items_per_batch:>8,} {times[0]:>11} {times[1]:>11} {row.ratio:>6.3f} {span:>13}"
        print(f"{row.what:8} {row.hides:8} {cells}")
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    path.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
