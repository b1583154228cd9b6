"""The composition root: the only place that knows all the parts. `serve` is `onejob serve`."""

import difflib
import errno
import logging
import os
import re
import resource
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

from onejob import __version__
from onejob.access.accounts import FIRST_ADMIN
from onejob.access.errors import AccessError
from onejob.access.ingest_gate import IngestGate
from onejob.access.service import Access
from onejob.backup.snapshot import sweep
from onejob.config import Settings
from onejob.connections import MOST_FILES, server_config
from onejob.imports import leave_out_pandas
from onejob.ingest.errors import IntakeError
from onejob.ingest.own.requests import own_target
from onejob.ingest.own.telemetry import SelfTelemetry
from onejob.ingest.service import Intake
from onejob.keeper import Keeper, Shared
from onejob.logs import log_to_stderr
from onejob.own_spans import Buffer, OwnSpans
from onejob.parts import Ground, start_parts
from onejob.state.database import Database, state_url
from onejob.state.errors import StateError
from onejob.store.engine import open_engine
from onejob.store.errors import StoreError
from onejob.telling import tell_login
from onejob.web.app import create_app
from onejob.web.metrics import text_of_metrics
from onejob.web.projects import Projects
from onejob.web.services import Services, utc_now

log = logging.getLogger("onejob")

EXIT_FAILED = 1
_GRACE_S = 3
_LOOK_EVERY_S = 1.0
_BACKLOG = 1024
_A_NAME = re.compile(r"[!-~]{1,300}")
_OF_COMMANDS = ("ONEJOB_URL", "ONEJOB_TOKEN", "ONEJOB_BACKTEST_STORE_URL")
# What Kubernetes sets for a service that is called onejob.
_OF_KUBERNETES = re.compile(r"ONEJOB_(\w+_)?(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP))\w*|ONEJOB_PORT")


class CannotStart(Exception):  # noqa: N818
    """Why the server does not start, and what to do."""


def serve(settings: Settings | None = None, *, new_admin_link: bool = False) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit code; why it could not start is on standard error."""
    log_to_stderr()
    leave_out_pandas()
    for chatty in ("httpx", "alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    _allow_many_connections()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with ExitStack() as stack:
            settings = settings or read_settings()
            logging.getLogger().setLevel(settings.log_level)
            with _files_at(settings.data_dir):
                run(settings, stack, new_admin_link=new_admin_link)
            while not stop.wait(_LOOK_EVERY_S):  # a signal that reaches another thread wakes nobody who waits for ever
                pass
            log.info("stopping")
    except (CannotStart, StoreError, StateError, IntakeError, AccessError) as error:
        print(f"onejob cannot start: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _allow_many_connections() -> None:
    """Each is an open file, of which a shell often allows 1024, though the system allows more to whoever asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def read_settings() -> Settings:
    """Settings from the environment; CannotStart names the variables that are wrong. The log tells what is none."""
    try:
        _tell_unknown(name.upper() for name in os.environ)
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{_variable(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors())
        raise CannotStart(f"{wrong}. See docs/configuration.md.") from None
    except SettingsError as error:
        raise CannotStart(f'{error}: lists are JSON, such as ["a", "b"]. See docs/configuration.md.') from None


def _tell_unknown(names: Iterable[str]) -> None:
    known = [f"ONEJOB_{name.upper()}" for name in Settings.model_fields]
    for name in names:
        if name.startswith("ONEJOB_") and name not in (*known, *_OF_COMMANDS) and not _OF_KUBERNETES.fullmatch(name):
            meant = difflib.get_close_matches(name, known, n=1)
            log.warning("%s is no setting, and does nothing%s", name, f": is it {meant[0]}?" if meant else ".")


def _variable(location: tuple[int | str, ...]) -> str:
    """`ONEJOB_KPIS`, entry 0, tolerance: where in a variable something is wrong."""
    if not location:
        return "settings that do not go together"
    name, *inside = location
    return ", ".join([f"ONEJOB_{str(name).upper()}", *(f"entry {i}" if isinstance(i, int) else i for i in inside)])


def run(settings: Settings, stack: ExitStack, *, new_admin_link: bool = False) -> Services:
    """Start every part; leaving the stack stops them in the opposite order, so that nothing acknowledged is lost.

    `new_admin_link` prints a one-time link for the first admin, whose password is lost.
    """
    _make_data_dir(settings.data_dir)
    web_socket = stack.enter_context(_listen(settings.listen_host, settings.web_port))
    engine = open_engine(settings)
    stack.callback(engine.close)
    sweep(settings, engine)
    database = Database(state_url(settings))
    stack.callback(database.close)
    database.migrate()
    access = Access(settings, database, utc_now)
    buffer = Buffer() if settings.self_telemetry_project else None
    spans = OwnSpans(buffer)
    intake = Intake(settings, engine, _ingest_gate(access, stack), spans)
    stack.callback(intake.stop)
    holder = _server_id(settings.data_dir)
    services = start_parts(Ground(settings, engine, database, intake, access, holder, spans), stack)
    keeper = Keeper(Shared(services, engine, intake, holder, spans))
    stack.callback(keeper.stop)
    services = replace(services, projects=keeper)
    intake.start()
    keeper.start()
    _tell_of_itself(services, intake, buffer, holder, stack)
    _serve_web(services, keeper, web_socket, stack)
    _tell(settings, intake, web_socket)
    if new_admin_link:
        what = {"action": "user.link", "object": FIRST_ADMIN, "detail": "asked for at the start; no second factor"}
        services.record(actor="onejob", source="this machine", **what)
    tell_login(settings, access, web_socket.getsockname()[1], new_link=new_admin_link)
    return services


def _ingest_gate(access: Access, stack: ExitStack) -> IngestGate:
    access.ingest.start()
    stack.callback(access.ingest.stop)
    return access.ingest


def _tell_of_itself(services: Services, intake: Intake, buffer: Buffer | None, instance: str, stack: ExitStack) -> None:
    settings = services.settings
    if buffer is None or settings.self_telemetry_project is None:
        return
    target = own_target(settings.self_telemetry_project, instance, settings.default_environment)
    page = lambda: text_of_metrics(services, services.with_projects())  # noqa: E731
    telling = SelfTelemetry(target, buffer, page, intake.door_of)
    telling.start()
    stack.callback(telling.stop)


def _serve_web(services: Services, keeper: Keeper, web_socket: socket.socket, stack: ExitStack) -> None:
    app = Projects(create_app(services), keeper.app, services.settings.public_url)
    config = server_config(app, grace_s=_GRACE_S)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [web_socket]}, name="web", daemon=True)
    thread.start()

    def stop() -> None:
        for its in services.with_projects().values():
            its.events.close()
        server.should_exit = True
        thread.join(_GRACE_S + 2)

    stack.callback(stop)


def _make_data_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(
            f"the data directory {path} cannot be made ({error.strerror}): "
            "set ONEJOB_DATA_DIR to a folder you may write to"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise CannotStart(f"the data directory {path} is not writable: change its owner, or set ONEJOB_DATA_DIR")


@contextmanager
def _files_at(data_dir: Path) -> Iterator[None]:
    """Whatever cannot be opened there has one remedy."""
    try:
        yield
    except OSError as error:
        raise CannotStart(
            f"{error.filename or data_dir} cannot be used ({error.strerror or error}): everything in "
            f"{data_dir.resolve()} must be what onejob made, and belong to the user it runs as; move away what is not, "
            "or set ONEJOB_DATA_DIR to another folder"
        ) from error


def _server_id(data_dir: Path) -> str:
    """A name that survives restarts; the lock on the data directory makes it this process's alone.

    What is no name, such as the empty file that a full disk leaves, is replaced: the lease under the old one runs out.
    """
    path = data_dir / "server-id"
    known = path.read_text(errors="replace").strip() if path.exists() else ""
    if _A_NAME.fullmatch(known):
        return known
    path.write_text(f"{socket.gethostname()}-{secrets.token_hex(4)}\n")
    return path.read_text().strip()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise CannotStart(
                f"{host} is no address of this machine ({error.strerror}): set ONEJOB_LISTEN_HOST"
            ) from error
        raise CannotStart(
            f"port {port} on {host} cannot be used ({error.strerror}): stop what uses it, or set ONEJOB_WEB_PORT"
        ) from error
    return listener


def _tell(settings: Settings, intake: Intake, web_socket: socket.socket) -> None:
    host = f"[{settings.listen_host}]" if ":" in settings.listen_host else settings.listen_host
    print(
        f"onejob {__version__}\n"
        f"  pages and API  http://{host}:{web_socket.getsockname()[1]}\n"
        f"  OTLP/gRPC      {host}:{intake.grpc_port}\n"
        f"  OTLP/HTTP      http://{host}:{intake.http_port}/v1/traces\n"
        f"  data           {settings.data_dir.resolve()}",
        flush=True,
    )
