"""The composition root of what runs without a server: a backtest on a ClickHouse that somebody else fills.

Only reads there, and writes nowhere but into a file that was asked for.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from onejob.config import Settings
from onejob.history.backtest import Materials, Period, run_backtest
from onejob.history.errors import HistoryError
from onejob.history.facts import NoFacts
from onejob.state.codec import iso, to_plain
from onejob.state.ids import new_id
from onejob.store.errors import StoreError
from onejob.store.past import Past
from onejob.store.read_only import ReadOnlyClickHouse
from onejob.verdict.batches import judge_settings
from onejob.web.pages.backtest import standalone

__all__ = ["HistoryError", "StoreError", "backtest"]


class Tell(Protocol):
    """Told of a job as the API tells it."""

    def __call__(self, job: dict[str, Any]) -> None: ...


def backtest(
    store_url: str, table: str, period: Mapping[str, Any], tell: Tell, page: Path | None = None
) -> dict[str, Any]:
    """The report as the API gives it; `page` is where to write it as a page. Raises StoreError, HistoryError."""
    settings = Settings()
    reader = ReadOnlyClickHouse(store_url)
    try:
        reader.check_traces(table)
        materials = Materials(
            past=Past(
                reader,
                settings.default_environment,
                settings.bin_width_s,
                table,
                has_events=reader.has_events(table),
            ),
            facts=NoFacts(),
            told=lambda service, _: judge_settings(settings, service),
            settings=settings,
        )
        now = datetime.now(UTC)
        until = datetime.fromisoformat(period["until"]) if period["until"] else now
        asked = Period(
            since=datetime.fromisoformat(period["since"]), until=min(until, now), services=period["services"]
        )

        def progress(done: int, of: int, what: str, judged: int) -> None:
            tell({"kind": "backtest", "done": done, "of": of, "what": what, "judged": judged, "started_at": iso(now)})

        report = run_backtest(materials, asked, new_id("bkt", now), f"{table} at {reader.address}", progress)
    finally:
        reader.close()
    if page is not None:
        page.write_text(standalone(report, datetime.now(UTC)))
    plain: Any = to_plain(report, non_finite=lambda _: None)
    return dict(plain)
