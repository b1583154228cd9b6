"""Writes the tables of docs/deploying.md that say what a machine takes, from bench/results: none is by hand.

python scripts/sizing.py [--check]
"""

import json
from pathlib import Path
from typing import Any

from made import with_block, write_or_check

RESULTS = Path(__file__).resolve().parent.parent / "bench/results"
KINDS = {
    "otlp_grpc": "spans, OTLP/gRPC",
    "otlp_http": "spans, OTLP/HTTP",
    "logs_grpc": "log records, OTLP/gRPC",
    "metrics_grpc": "data points, OTLP/gRPC",
}
PER_REQUEST = 500, 50


def page() -> str:
    """The whole page, with the tables as they have to be."""
    return with_block("deploying.md", _by_kind(_result("ingest")) + "\n" + _soak(_result("soak")))


def _result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def _by_kind(ingest: dict[str, Any]) -> str:
    rows = {(row["what"], row["spans_per_request"]): row for row in ingest["rows"]}
    columns = [f"{number} a request" for number in PER_REQUEST]
    lines = [f"| stored a second, `make bench-ingest` | {' | '.join(columns)} | most memory |\n|---|---|---|---|\n"]
    for what, words in KINDS.items():
        of_kind = [rows[what, number] for number in PER_REQUEST]
        cells = [f"{row['spans_per_s']:,}" for row in of_kind]
        lines.append(f"| {words} | {' | '.join(cells)} | {max(row['memory_peak_mb'] for row in of_kind):,} MB |\n")
    return "".join(lines)


def _soak(soak: dict[str, Any]) -> str:
    refused = sum(number for status, number in soak["overload"].items() if status in ("429", "503"))
    offered = f"{soak['overload_offered']:.0%}".replace("%", " %")
    per_s = f"{soak['capacity_items_per_s']:,} a second"
    rows = {
        "spans, log records and data points, mixed, that are stored at most": per_s,
        "acknowledged in the whole run": f"{soak['acknowledged']:,}",
        "of them stored, each once": f"{soak['stored']:,}",
        "acknowledged within, at 70 %: half of the requests": f"{soak['ack_p50_ms']} ms",
        "acknowledged within, at 70 %: 99 % of them": f"{soak['ack_p99_ms']} ms",
        "refused at 70 %": f"{soak['refused_at_usual']:,}",
        "most memory of the server and its engine": f"{soak['rss_peak_mb']:,} MB",
        "memory that it grew by after the first minute at 70 %": f"{soak['rss_growth_mb']} MB",
        f"requests told to come back, at {offered}": f"{refused:,} of {sum(soak['overload'].values()):,}",
        "requests of the whole run that were answered in another way, or not at all": f"{soak['unclean']:,}",
        f"acknowledged within, at {offered}: 99 % of what was taken": f"{soak['overload_ack_p99_ms']} ms",
        "as quick as before, after that ended, in": f"{soak['overload_recovery_s']} s",
    }
    return "| `make bench-soak` | |\n|---|---|\n" + "".join(f"| {words} | {said} |\n" for words, said in rows.items())


if __name__ == "__main__":
    write_or_check("deploying.md", page())
