"""`onejob import`: files of OTLP into the server, a few megabytes at a time."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from onejob import words
from onejob.cli.client import Api, Document
from onejob.cli.errors import EXIT_FAILED, UsageError
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.otlp_files import JSON, PIECE_BYTES, Broken, Request, requests
from onejob.cli.output import clean, note, print_fields, print_json

_ENOUGH_REQUESTS = 2000
_ANSWER_WITHIN_S = 120.0  # the server writes all of a body to its disk before it answers
_MOST_PROBLEMS = 20  # shown; the others are counted
_TELL_EVERY_S = 10.0
_LOOK_EVERY_S = 0.2
_LONGEST_WAIT_S = 2.0  # the server empties its spool all the time, and nobody else's spans depend on this one
_STORED = {"spans": "span", "log_records": "log record", "data_points": "data point"}
_COUNTS = ("empty", *_STORED, "repeated", "invalid", "expired", "fading")


@dataclass
class _Sums:
    """What became of everything so far."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))
    requests: int = 0
    problems: int = 0
    waiting: str = ""

    @property
    def stored(self) -> str:
        """`6 spans, 2 log records`."""
        said = (words.plural(self.counts[name], one) for name, one in _STORED.items() if self.counts[name])
        return ", ".join(said) or "0 spans"

    def waits_because(self, why: str) -> None:
        """Said once, however often it is tried."""
        if why != self.waiting:
            note(f"The server has no room now: {clean(why)} Waiting.")
        self.waiting = why

    def problem(self, where: str, why: str) -> None:
        self.problems += 1
        if self.problems <= _MOST_PROBLEMS:
            note(f"{where}: {clean(why)}")
        elif self.problems == _MOST_PROBLEMS + 1:
            note("... there are more like these; they are counted at the end.")


def import_(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="OTLP files; - is standard input.")],
    url: Url = DEFAULT_URL,
    as_json: Json = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Return when all is stored, or when it is on the server's disk.")
    ] = True,
) -> None:
    """Store telemetry of the past, out of files.

    OTLP (traces, logs, metrics) as JSON lines or in protobuf (one request, or each after its length as the
    OpenTelemetry Collector's file exporter writes them), plain or compressed with gzip or zstd. What was imported
    before is recognised, however long ago, and not stored again. Exit code 1 if anything could not be stored.
    """
    api = Api(url, read_timeout_s=_ANSWER_WITHIN_S)
    sums = _Sums()
    dead = _dead_letters(api)
    for name in files:
        with _opened(name) as (stream, size), _progress(name, size) as tell:
            _import(api, name, stream, sums, tell)
    if wait and any(sums.counts[name] for name in _STORED):
        _wait_until_stored(api)
        lost = _dead_letters(api) - dead
        if lost:
            sums.problem("the server", f"{lost} requests could not be stored and are kept apart; see its log")
    _report(api, sums, as_json)
    if sums.problems or sums.counts["expired"] or sums.counts["invalid"]:
        raise typer.Exit(EXIT_FAILED)


def _import(api: Api, name: str, stream: BinaryIO, sums: _Sums, tell: "_Tell") -> None:
    group: list[Request] = []
    held = 0
    for found in requests(stream):
        if isinstance(found, Broken):
            sums.problem(f"{name}, {found.where}", found.why)
            continue
        is_full = held + len(found.body) > PIECE_BYTES or len(group) >= _ENOUGH_REQUESTS
        if group and (is_full or group[0].kind != found.kind):
            _send(api, name, group, sums)
            tell(stream, sums)
            group, held = [], 0
        group.append(found)
        held += len(found.body)
    if group:
        _send(api, name, group, sums)
    tell(stream, sums)


def _send(api: Api, name: str, group: list[Request], sums: _Sums) -> None:
    while group:
        answer = api.send_bytes("api/v1/import", _body(group), group[0].kind)
        done = int(answer["requests"])
        for refused in answer["refused"]:
            sums.problem(f"{name}, {group[refused['index']].where}", refused["why"])
        for count in _COUNTS:
            sums.counts[count] += answer[count]
        sums.requests += done
        group = group[done:]
        if answer["wait_s"] is not None:
            sums.waits_because(answer["wait_why"])
            time.sleep(min(answer["wait_s"], _LONGEST_WAIT_S))


def _body(group: list[Request]) -> bytes:
    if group[0].kind == JSON:
        return b"".join(request.body + b"\n" for request in group)
    return b"".join(len(request.body).to_bytes(4, "big") + request.body for request in group)


@contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if name == "-":
        yield sys.stdin.buffer, None
        return
    try:
        with Path(name).open("rb") as file:
            yield cast(BinaryIO, file), Path(name).stat().st_size or None
    except OSError as error:
        if error.errno is None:
            raise
        raise UsageError(f"{name} cannot be read ({error.strerror}).") from error


class _Tell:
    """Tells how far it is: a bar on a terminal, else a line now and then."""

    def __init__(self, name: str, size: int | None, bar: "object | None") -> None:
        self._name = name
        self._size = size
        self._bar = bar
        self._told_at = time.monotonic()

    def __call__(self, stream: BinaryIO, sums: _Sums) -> None:
        at = stream.tell() if self._size else None
        if self._bar is not None:
            self._bar.update(0, completed=at or 0, stored=sums.stored)  # type: ignore[attr-defined]
        elif time.monotonic() - self._told_at >= _TELL_EVERY_S:
            self._told_at = time.monotonic()
            share = f"{at / self._size:.0%}, " if at and self._size else ""
            note(f"{self._name}: {share}{sums.stored} so far")


@contextmanager
def _progress(name: str, size: int | None) -> Iterator[_Tell]:
    if not sys.stderr.isatty():
        yield _Tell(name, size, None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[stored]}"), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}", markup=False), *columns, console=Console(stderr=True)) as bar:
        bar.add_task(clean(name), total=size, stored="")
        yield _Tell(name, size, bar)


def _wait_until_stored(api: Api) -> None:
    """Until the oldest request that waits to be stored is younger than our last."""
    sent_at = time.monotonic()
    while True:
        asked_at = time.monotonic()
        intake = _intake(api)
        if not intake.get("spooled_requests") or intake.get("lag_s", 0.0) < asked_at - sent_at:
            return
        time.sleep(_LOOK_EVERY_S)


def _dead_letters(api: Api) -> int:
    return int(_intake(api).get("dead_letters", 0))


def _intake(api: Api) -> Document:
    return api.get("api/v1/status").get("intake") or {}


def _report(api: Api, sums: _Sums, as_json: bool) -> None:
    if as_json:
        print_json({**sums.counts, "requests": sums.requests, "problems": sums.problems})
    else:
        print_fields(
            [
                ("stored", f"{sums.stored} out of {words.plural(sums.requests, 'request')}"),
                ("stored before", words.count(sums.counts["repeated"]) if sums.counts["repeated"] else None),
                ("refused", words.count(sums.counts["invalid"]) if sums.counts["invalid"] else None),
                ("empty", words.plural(sums.counts["empty"], "request") if sums.counts["empty"] else None),
                ("problems", sums.problems or None),
            ]
        )
    if sums.counts["fading"]:
        note(
            f"{sums.counts['fading']:,} of these spans are older than spans are kept (ONEJOB_TRACES_RETENTION_DAYS). "
            "Their counts, which verdicts are made of, stay; the spans themselves are deleted soon. "
            "Raise the setting before you import to keep them."
        )
    if sums.counts["expired"]:
        note(
            f"{sums.counts['expired']:,} spans, log records or data points are older than they are kept "
            "(ONEJOB_ROLLUP_RETENTION_DAYS, ONEJOB_LOGS_RETENTION_DAYS, ONEJOB_METRICS_RETENTION_DAYS) and were not "
            "stored. Raise the setting and import again to have them."
        )
