"""`onejob tail`: access logs as entry spans. What it needs is imported when it runs, so that `--help` stays quick."""

import hashlib
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onejob.cli.client import Api
from onejob.cli.errors import CliError, RefusedError, UnreachableError, UsageError
from onejob.cli.options import DEFAULT_URL, Environment, Url
from onejob.cli.output import clean, note
from onejob.tail.kind import Format

if TYPE_CHECKING:
    from onejob.tail.deployed import Deployed
    from onejob.tail.patience import Patience
    from onejob.tail.sources import Source
    from onejob.tail.state import State

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
_MOST_DEPLOYMENTS = 50  # of a service, the newest


def tail(
    service: Annotated[str, typer.Option("--service", "-s", help="As service.name.", show_default=False)],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Access logs; standard input if there is none.")
    ] = None,
    kind: Annotated[Format, typer.Option("--format", help="Who wrote them.")] = Format.AUTO,
    log_format: Annotated[
        str | None,
        typer.Option(
            help="nginx's log_format, Apache's LogFormat, HAProxy's log-format, Envoy's text_format or json_format."
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="Of lines that tell none; unless said, the version deployed at their time."),
    ] = None,
    version_field: Annotated[
        str, typer.Option(metavar="NAME", help="The response header, or the field of the format, that is the version.")
    ] = "x-version",
    by_deployment: Annotated[
        bool,
        typer.Option(
            "--by-deployment/--not-by-deployment",
            help="Ask the server which version was deployed at the time of a line that tells none.",
        ),
    ] = True,
    environment: Environment = None,
    instance: Annotated[
        str | None, typer.Option(help="Of lines that name no server behind; unless said, this machine's name.")
    ] = None,
    routes: Annotated[
        list[str] | None,
        typer.Option("--route", metavar="TEMPLATE", help="Such as /blog/{slug} or /files/{path*}; may be repeated."),
    ] = None,
    endpoint: Annotated[
        str, typer.Option(envvar="OTEL_EXPORTER_OTLP_ENDPOINT", help="Where OTLP over HTTP is taken.")
    ] = DEFAULT_ENDPOINT,
    url: Url = DEFAULT_URL,
    state: Annotated[
        Path | None, typer.Option(help="Where it keeps how far it read; unless said, below ~/.local/state/onejob.")
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin at the start of a log that was not read before, not at its end.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for more, or end with what is there.")
    ] = True,
) -> None:
    """Send access logs of nginx, HAProxy, Apache or Envoy as entry spans.

    For services without instrumentation: each line becomes a server span with method, route, status, duration and size.
    Query strings are not sent. Rotated logs are read to their end; after a restart it goes on where it was. Tokens come
    from the environment: OTEL_EXPORTER_OTLP_HEADERS for telemetry, ONEJOB_TOKEN for asking about deployments.
    """
    from onejob.tail.errors import EndpointError, StateError, TailError
    from onejob.tail.formats import reader_of
    from onejob.tail.patience import Patience
    from onejob.tail.routes import Routes
    from onejob.tail.shipper import Shipper, headers_of
    from onejob.tail.state import StateFile
    from onejob.tail.tail import Given, Tail

    paths = list(dict.fromkeys(files or []))
    _require_sense(service, paths)
    stop = _stopped_by_signals()
    patience = Patience(stop, _say)
    place = instance or socket.gethostname()
    try:
        kept = StateFile(state or _default_state(service, environment, paths))
        headers = headers_of(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
        reader = reader_of(kind, log_format, version_field)
        with kept.locked(), Shipper(endpoint, headers, patience) as shipper:
            known = kept.load()
            asks = by_deployment and not version
            reading = Tail(
                given=Given(service=service, environment=environment or "", version=version or "", instance=place),
                source=_source(paths, known, stop, from_start=from_start, follow=follow),
                reader=reader,
                routes=Routes(routes or (), known.named),
                shipper=shipper,
                state=kept,
                deployed=_deployed(service, environment, url, patience) if asks else None,
                stop=stop,
                say=_say,
            )
            reading.run(known)
        _say(f"Read {reading.tally}.")
    except (StateError, EndpointError) as error:
        raise CliError(clean(error)) from error
    except TailError as error:
        raise UsageError(clean(error)) from error
    if shipper.rejected:
        raise CliError(f"The server did not take {shipper.rejected:,} of these spans; look at its log.")


def _say(sentence: str) -> None:
    note(clean(sentence))


def _require_sense(service: str, paths: Sequence[Path]) -> None:
    if not service.strip():
        raise UsageError("--service is empty: name the service that the log is of.")
    if not paths and sys.stdin.isatty():
        raise UsageError("Name the access logs to read, or pipe one in: tail -F access.log | onejob tail -s NAME.")


def _stopped_by_signals() -> threading.Event:
    """Whoever ends it lets it send what it has read."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _default_state(service: str, environment: str | None, paths: Sequence[Path]) -> Path:
    """One for each service and its logs; where systemd says, else where the XDG specification does."""
    of = "\0".join([service, environment or "", *map(os.path.abspath, paths)])
    name = f"{re.sub(r'[^A-Za-z0-9.-]', '-', service)[:50]}-{hashlib.blake2b(of.encode(), digest_size=4).hexdigest()}"
    if systemd := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(systemd, f"{name}.json")
    try:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    except RuntimeError as error:
        raise UsageError("This user has no home: say with --state where to keep how far the log was read.") from error
    return Path(base, "onejob/tail", f"{name}.json")


def _source(paths: list[Path], known: "State", stop: threading.Event, *, from_start: bool, follow: bool) -> "Source":
    from onejob.tail import sources

    if not paths:
        return sources.Pipe(sys.stdin.fileno(), stop)
    found, remarks = sources.files(paths, known.marks, stop, from_start=from_start, follows=follow)
    for remark in remarks:
        _say(remark)
    return found


def _deployed(service: str, environment: str | None, url: str, patience: "Patience") -> "Deployed":
    from onejob.tail.deployed import Deployed
    from onejob.tail.errors import UnavailableError

    api = Api(url)

    def ask() -> list[dict[str, Any]]:
        try:
            document = api.get(
                "api/v1/deployments", service=service, environment=environment, view="summary", limit=_MOST_DEPLOYMENTS
            )
        except RefusedError as error:
            raise RefusedError(
                f"{error} It is asked which version was deployed when: without that, say --version or "
                "--not-by-deployment."
            ) from error
        except UnreachableError as error:
            raise UnavailableError(str(error)) from error
        return list(document["items"])

    return Deployed(ask, patience, _say, time.time_ns)
