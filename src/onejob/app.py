"""The composition root: the only place that knows all the parts. `serve` is `onejob serve`."""

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
from datetime import datetime
from pathlib import Path

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

from onejob import __version__
from onejob.access.ingest_gate import IngestGate
from onejob.access.service import Access
from onejob.act.audited import AuditedTransitions
from onejob.act.controller import RolloutController
from onejob.backup.snapshot import sweep
from onejob.changes.detect_loop import DetectLoop
from onejob.config import Settings
from onejob.cycle import Cycle
from onejob.explain.rivals import when_others_count
from onejob.explain.service import explain
from onejob.history.jobs import Jobs
from onejob.history.places import places
from onejob.history.service import DailyCalibration, History
from onejob.ingest.errors import IntakeError
from onejob.ingest.service import Intake
from onejob.known.look import ErrorLook
from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch
from onejob.model.explanation import Explanation
from onejob.model.rollout import Mode
from onejob.model.verdict import Verdict
from onejob.state.audit import Audit
from onejob.state.backtests import Backtests
from onejob.state.calibrations import Calibrations
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.errors import NotFoundError, StateError
from onejob.state.events import Events
from onejob.state.evidence import Evidences
from onejob.state.known_errors import KnownErrors
from onejob.state.leases import Leases
from onejob.state.outcomes import StoredOutcomes
from onejob.state.readings import Readings
from onejob.state.returns import WaitingReturns
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts
from onejob.state.versions import KnownVersions
from onejob.store.engine import Engine, open_engine
from onejob.store.errors import StoreError
from onejob.store.rollup import versions_seen
from onejob.telling import tell_login
from onejob.verdict.live import JudgeLoop
from onejob.verdict.recompute import recompute
from onejob.watch import Looking, Watch
from onejob.web.app import create_app
from onejob.web.services import Services, assemble, utc_now

log = logging.getLogger("onejob")

EXIT_FAILED = 1
_GRACE_S = 3
_COMPLAINTS_EVERY_S = 30.0
_BACKLOG = 1024
_MOST_FILES = 65_536
_A_NAME = re.compile(r"[!-~]{1,300}")


class CannotStart(Exception):  # noqa: N818
    """Why the server does not start, and what to do."""


def serve(settings: Settings | None = None, *, new_admin_link: bool = False) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit code; why it could not start is on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
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
            stop.wait()
            log.info("stopping")
    except (CannotStart, StoreError, StateError, IntakeError) as error:
        print(f"onejob cannot start: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _allow_many_connections() -> None:
    """Each is an open file, of which a shell often allows 1024, though the system allows more to whoever asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def read_settings() -> Settings:
    """Settings from the environment; CannotStart names the variables that are wrong."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{_variable(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors())
        raise CannotStart(f"{wrong}. See docs/configuration.md.") from None
    except SettingsError as error:
        raise CannotStart(f'{error}: lists are JSON, such as ["a", "b"]. See docs/configuration.md.') from None


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
    sweep(settings)
    database = Database(_state_url(settings))
    stack.callback(database.close)
    database.migrate()
    access = Access(settings, database, utc_now)
    intake = Intake(settings, engine, _ingest_gate(access, stack))
    stack.callback(intake.stop)
    services = _services(settings, engine, database, intake, access, stack)
    intake.start()
    _serve_web(services, web_socket, stack)
    _tell(settings, intake, web_socket)
    tell_login(settings, access, web_socket.getsockname()[1], new_link=new_admin_link)
    return services


def _ingest_gate(access: Access, stack: ExitStack) -> IngestGate:
    access.ingest.start()
    stack.callback(access.ingest.stop)
    return access.ingest


def _services(
    settings: Settings, engine: Engine, database: Database, intake: Intake, access: Access, stack: ExitStack
) -> Services:
    events = Events()
    deployments, evidences, rollouts = Deployments(database), Evidences(database), Rollouts(database)
    verdicts, explanations = Verdicts(database), Explanations(database)
    controller = RolloutController(
        rollouts=rollouts,
        deployments=deployments,
        verdicts=verdicts,
        evidences=evidences,
        events=events,
        clock=utc_now,
        default_mode=Mode(settings.rollout_mode),
        judge_interval_s=max(settings.tick_s, settings.bin_width_s),
        on_transition=AuditedTransitions(Audit(database)),
    )
    stack.callback(controller.close)

    def again(deployment: Deployment, batches: Iterable[EvidenceBatch]) -> Verdict:
        verdict = recompute(deployment, batches, explanations.get(deployment.id))
        if verdict is None:
            raise NotFoundError(f"There is no evidence for {deployment.id} yet: wait for its first look.")
        return verdict

    cycle = _cycle(settings, engine, database, events, controller)
    cycle.start()
    stack.callback(cycle.stop)
    history = _history(settings, engine, database, stack)
    _watch_errors(settings, engine, database, stack)
    services = assemble(
        settings,
        database,
        engine=engine,
        intake=intake,
        recompute=again,
        controller=controller,
        history=history,
        events=events,
        tick_durations=cycle.durations,
        access=access,
    )
    _watch("complaints", services.complaints, settings, database, stack, _COMPLAINTS_EVERY_S)
    return services


def _cycle(
    settings: Settings, engine: Engine, database: Database, events: Events, controller: RolloutController
) -> Cycle:
    """What happens every tick: deployments are noticed, judged, explained and acted on."""
    deployments, rollouts = Deployments(database), Rollouts(database)
    verdicts, explanations = Verdicts(database), Explanations(database)
    judging = JudgeLoop(
        engine=engine,
        deployments=deployments,
        evidences=Evidences(database),
        verdicts=verdicts,
        explanations=explanations,
        rollouts=rollouts,
        settings=settings,
        calibrations=Calibrations(database),
        outcomes=StoredOutcomes(database),
    )
    look = lambda since, until: versions_seen(engine, since=since, until=until)  # noqa: E731
    versions, returns = KnownVersions(database), WaitingReturns(database)
    detector = DetectLoop(deployments, rollouts, versions, returns, events, look, settings)

    def why(deployment: Deployment, verdict: Verdict, now: datetime) -> Explanation:
        others = deployments.around(deployment.environment, *when_others_count(deployment, verdict))
        return explain(engine, deployment, verdict, settings=settings, now=now, others=others)

    return Cycle(
        detector=detector,
        judging=judging,
        explain=why,
        rollouts=controller,
        verdicts=verdicts,
        explanations=explanations,
        events=events,
        leases=Leases(database),
        holder=_server_id(settings.data_dir),
        clock=utc_now,
        tick_s=settings.tick_s,
    )


def _history(settings: Settings, engine: Engine, database: Database, stack: ExitStack) -> History:
    jobs = Jobs(engine, settings, _state_url(settings))
    history = History(jobs, Backtests(database), Calibrations(database), settings, utc_now)

    served = lambda since, until: places(engine, settings.default_environment, since, until)  # noqa: E731
    daily = DailyCalibration(history, served, Leases(database), _server_id(settings.data_dir), utc_now)
    if settings.calibrate_daily:
        daily.start()
        stack.callback(daily.stop)
    stack.callback(jobs.stop)
    return history


def _watch_errors(settings: Settings, engine: Engine, database: Database, stack: ExitStack) -> None:
    looking = ErrorLook(engine, KnownErrors(database), Readings(database), KnownVersions(database), settings)
    _watch("errors", looking, settings, database, stack, settings.errors_tick_s)


def _watch(
    what: str, looking: Looking, settings: Settings, database: Database, stack: ExitStack, every_s: float
) -> None:
    watch = Watch(what, looking, Leases(database), _server_id(settings.data_dir), utc_now, every_s)
    watch.start()
    stack.callback(watch.stop)


def _serve_web(services: Services, web_socket: socket.socket, stack: ExitStack) -> None:
    config = uvicorn.Config(
        create_app(services), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE_S
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [web_socket]}, name="web", daemon=True)
    thread.start()

    def stop() -> None:
        services.events.close()
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


def _state_url(settings: Settings) -> str:
    if settings.state_url is not None:
        return settings.state_url.get_secret_value()
    return f"sqlite:///{(settings.data_dir / 'state.db').resolve()}"


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
