"""`onejob backtest`: what onejob would have said of the deployments of the past.

Of a server's own history the server makes the report, and this command asks for it. Of a ClickHouse that the
OpenTelemetry Collector fills, this command makes it by itself, which takes what the server's install has.
"""

import importlib
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from onejob import words
from onejob.cli.client import Api, Document
from onejob.cli.errors import RefusedError, UnreachableError, UsageError
from onejob.cli.options import DEFAULT_URL, Json, Url, read_time
from onejob.cli.output import clean, note, parse_time, print_json, print_table, verdict_mark
from onejob.cli.serve import require_extra

HEADINGS = ("started", "service", "version", "verdict", "after", "what it rests on", "it would have saved")
_NEEDED = ("clickhouse_connect", "numpy", "pyarrow", "pydantic_settings", "scipy", "sqlalchemy")
_POLL_S = 0.5
_TELL_EVERY_S = 10.0
_AGO = re.compile(r"(\d+)\s*([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def backtest(
    since: Annotated[str, typer.Option(help="Deployments that started since: 30d, 12h, or a time.")] = "30d",
    until: Annotated[str | None, typer.Option(help="... and before; now unless said.")] = None,
    service: Annotated[list[str] | None, typer.Option(help="Only this service; may be repeated.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the report to this file: a page if it ends in .html, else JSON.")
    ] = None,
    store_url: Annotated[
        str | None,
        typer.Option(
            envvar="ONEJOB_BACKTEST_STORE_URL",
            help="A ClickHouse to read instead, as http://user:password@host:8123/database. Nothing is written there.",
        ),
    ] = None,
    table: Annotated[
        str, typer.Option(help="Its table of spans, as the Collector's exporter keeps it.")
    ] = "otel_traces",
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Say what onejob would have said.

    Finds every deployment in stored history and judges it as it would have been judged live: which verdict, how long
    after the start, on what evidence, and what hearing it at once would have saved.
    """
    if report is not None and not report.resolve().parent.is_dir():
        raise UsageError(f"The report cannot be written to {report}: its folder does not exist.")
    period = {"since": read_since(since), "until": read_time(until, "--until"), "services": list(service or ())}
    if store_url is None:
        made = _of_server(Api(url), period, report)
    else:
        made = _of_clickhouse(store_url, table, period, report)
    if report is not None and report.suffix != ".html":
        report.write_text(json.dumps(made, indent=1) + "\n")
    if as_json:
        print_json(made)
        return
    print_report(made)
    if report is not None:
        note(f"The report is in {report}.")


def read_since(text: str) -> str:
    """`30d`, `12h`, `45m` ago, or a time, as ISO 8601."""
    ago = _AGO.fullmatch(text.strip().lower())
    if ago is None:
        try:
            return str(read_time(text, "--since"))
        except UsageError as error:
            raise UsageError(f"--since {text!r} is no time: write 30d, 12h or 2026-03-01T12:00:00Z.") from error
    try:
        moment = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    except OverflowError as error:
        raise UsageError(f"--since {text!r} is before the beginning of time: 30d is a month.") from error
    return moment.isoformat().replace("+00:00", "Z")


def _of_server(api: Api, period: Document, report: Path | None) -> Document:
    job = api.post("api/v1/backtests", {name: value for name, value in period.items() if value})
    with telling() as tell:
        while job["state"] == "running":
            tell(job)
            time.sleep(_POLL_S)
            answer = api.get(f"api/v1/backtests/{job['id']}")
            job = answer["job"] or {**job, "state": "done"}
    if job["state"] != "done":
        raise RefusedError(f"The backtest ended early: {job['error']}")
    made: Document = answer["report"]
    if report is not None and report.suffix == ".html":
        report.write_text(api.text(f"backtest/{job['id']}.html"))
    return made


def _of_clickhouse(store_url: str, table: str, period: Document, report: Path | None) -> Document:
    require_extra("server", _NEEDED, "`onejob backtest --store-url`")
    outside = importlib.import_module("onejob.outside")
    with telling() as tell:
        try:
            made: Document = outside.backtest(
                store_url, table, period, tell, report if report and report.suffix == ".html" else None
            )
        except outside.StoreError as error:
            raise UnreachableError(str(error)) from error
        except outside.HistoryError as error:
            raise RefusedError(str(error)) from error
    return made


@contextmanager
def telling() -> "Iterator[Any]":
    """Tells how far a replay is: one line that changes on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        told_at = [time.monotonic()]

        def line(job: Document) -> None:
            if time.monotonic() - told_at[0] >= _TELL_EVERY_S:
                told_at[0] = time.monotonic()
                note(_progress(job))

        yield line
        return
    from rich.console import Console

    with Console(stderr=True).status("Looking for deployments") as status:
        yield lambda job: status.update(_progress(job))


def _progress(job: Document) -> str:
    if job["kind"] == "calibration":
        return f"{clean(job['what'])}: {job['done']} of {job['of']} placebo deployments, {job['judged']} alarms"
    return f"{job['done']} of {job['of']} services, {job['judged']} deployments judged; now {clean(job['what'])}"


def print_report(made: Document) -> None:
    """The table and what it comes to."""
    judged = made["deployments"]
    print_table(HEADINGS, (_row(one) for one in judged))
    note(summary(made))
    for sentence in made["notes"]:
        note(clean(sentence))


def summary(made: Document) -> str:
    """What the report comes to, in a sentence or two."""
    judged = made["deployments"]
    states = [one["verdict"]["state"] for one in judged]
    found = f"{words.plural(len(judged), 'deployment')} of {words.plural(len(made['services']), 'service')}: "
    told = found + ", ".join(
        f"{states.count(state)} {word}"
        for state, word in (
            ("worse", "worse"),
            ("better", "better"),
            ("no_worse", "no worse"),
            ("undecided", "undecided"),
        )
    )
    savings = [one["saved"] for one in judged if one["saved"]]
    if savings:
        requests, failed = (sum(saved[name] for saved in savings) for name in ("requests", "failed"))
        waited = sum(saved["waited_s"] for saved in savings)
        told += (
            f". The worse ones answered {requests:,} requests after the verdict would have come: {failed:,} of them "
            f"failed that need not have, and users waited {words.elapsed(waited)} longer"
        )
    return f"{told}. Took {words.elapsed(made['took_s'])}."


def _row(one: Document) -> tuple[object, ...]:
    deployment, verdict = one["deployment"], one["verdict"]
    started = parse_time(deployment["started_at"])
    after = one["decided_after_s"]
    return (
        f"{started:%Y-%m-%d %H:%M}" if started else "",
        deployment["service"],
        deployment["version"],
        verdict_mark(verdict),
        words.elapsed(after) if after is not None else "",
        verdict["sentence"],
        _saved(one["saved"]),
    )


def _saved(saved: Document | None) -> str:
    if not saved:
        return ""
    parts = [f"{saved['requests']:,} requests"]
    if saved["failed"]:
        parts.append(f"{saved['failed']:,} failures")
    if saved["waited_s"] >= 1:
        parts.append(f"{words.elapsed(saved['waited_s'])} of waiting")
    return ", ".join(parts)
