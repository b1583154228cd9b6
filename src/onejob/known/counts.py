"""How often errors came: written per version and minute by whoever looks, read by whoever asks."""

from collections.abc import Collection, Iterable
from datetime import datetime

from onejob.known.reading import read_query
from onejob.model.known_error import ErrorCount, Occurrence
from onejob.store.engine import Engine, Reader, Scalar
from onejob.store.sql import quote

_ROWS = 1_000  # of one statement


def write_counts(engine: Engine, occurrences: Iterable[Occurrence]) -> None:
    """Store them; the same again changes nothing, and more in the same minute takes the place of less."""
    rows = [f"({quote(o.error_id)}, {o.bin_start}, {quote(o.version)}, {o.count})" for o in occurrences]
    for start in range(0, len(rows), _ROWS):
        some = ", ".join(rows[start : start + _ROWS])
        engine.execute(f"INSERT INTO error_counts (ErrorId, Bin, Version, Count) VALUES {some}")  # noqa: S608  quoted


def read_counts(
    engine: Reader, error_id: str, since: datetime, until: datetime, step_s: int, *, timeout_s: float
) -> list[ErrorCount]:
    """Of one error in [since, until), in steps."""
    params: dict[str, Scalar] = {"error": error_id, "step": step_s}
    params |= {"since": int(since.timestamp()), "until": int(until.timestamp())}
    rows = engine.query(read_query("counts"), params, timeout_s=timeout_s).to_pylist()
    return [ErrorCount(**row) for row in rows]


def read_totals(engine: Reader, ids: Collection[str], since: datetime, *, timeout_s: float) -> dict[str, int]:
    """Of several errors since a moment; one that did not come is left out."""
    if not ids:
        return {}
    sql = read_query("totals", errors="(" + ", ".join(map(quote, sorted(ids))) + ")")
    rows = engine.query(sql, {"since": int(since.timestamp())}, timeout_s=timeout_s).to_pylist()
    return {row["error_id"]: row["count"] for row in rows}
