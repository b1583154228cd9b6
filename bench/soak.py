"""Ten minutes of traces, logs and metrics with readers at the pages, then three times more than it can take.

    python bench/soak.py [--seconds 600] [--overload-seconds 60] [--json bench/results/soak.json]

The server and its engine have one core, clients the other. What it can take is measured first: items a second up to a
stored row, of the same mix, for two minutes, from clients that never pause. Then 70 % of that for ten minutes, with
four readers, and after three of them a new version, which is judged; then 300 %; then 70 % again. In the end it is
counted what was acknowledged and what is stored: each item once, nothing else.
Refused cleanly is 429 or 503 with Retry-After; anything else is an error. Limits stand beside the figures. The spool
has an eighth of its default size, or a minute of too much would fit into it and nothing would be refused.
"""

import argparse
import http.client
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

import spans
from onejob.config import Settings
from onejob.demo.processes import free_ports
from onejob.store.engine import open_engine

SERVER_CORE, CLIENT_CORE = 0, 1
SERVE = "from onejob.cli import main; main()"
PER_REQUEST = 500
SENDERS, SENDERS_OF_TOO_MUCH, READERS = 12, 48, 4  # each waits for an answer before it sends again
SPOOL_BYTES = 256 * 2**20
CAPACITY_S = 120.0  # long enough for merges of what was stored to take their share
USUAL, TOO_MUCH = 0.7, 3.0
# Of ten requests six are spans, three log records and one data points.
MIX = ("traces",) * 6 + ("logs",) * 3 + ("metrics",)
TABLES = {
    "traces": ("otel_traces",),
    "logs": ("otel_logs",),
    "metrics": ("otel_metrics_gauge", "otel_metrics_sum", "otel_metrics_histogram"),
}
PAGES = ("/deployments", "/errors", "/customers", "/api/v1/deployments", "/api/v1/status", "/healthz")
_VERSIONS = "1.2.3", "1.2.4"
_NEW_AFTER = 0.3  # of the usual load
_MARK = b"soak-0000000000"  # in every request; made unlike in each, as equal ones are stored once
_CLEANLY = (429, 503)
_SETTLED_S = 3  # so long in a row without a slow answer
LIMITS = {"ack_p99_ms": 250.0, "rss_growth_mb": 50.0, "overload_recovery_s": 5.0}


@dataclass(slots=True)
class Answer:
    """One request: when it was due (s), how long after that it was answered (s), its status; 0 for none at all."""

    at: float
    seconds: float
    status: int
    kind: str
    has_retry_after: bool = False


class Memory(NamedTuple):
    """In use at a time (s)."""

    at: float
    server_mb: float
    engine_mb: float


class Payloads:
    """Requests of this second that are all unlike, at the cost of a copy each. Close it in the end."""

    def __init__(self) -> None:
        self._version = _VERSIONS[0]
        self._make()
        self._numbers = itertools.count()
        self._closing = threading.Event()
        self._maker = threading.Thread(target=self._go_on)
        self._maker.start()

    def deploy(self) -> None:
        """From the next second on all are of a new version."""
        self._version = _VERSIONS[1]

    def close(self) -> None:
        self._closing.set()
        self._maker.join()

    def _go_on(self) -> None:
        while not self._closing.wait(1.0):
            self._make()

    def _make(self) -> None:
        make = {"traces": spans.requests, "logs": spans.log_requests, "metrics": spans.metric_requests}
        with patch.dict(spans.RESOURCE, {"host.name": _MARK.decode(), "service.version": self._version}):
            self._templates = {kind: make[kind](4 * PER_REQUEST, PER_REQUEST) for kind in make}

    def next(self) -> tuple[str, bytes]:
        number = next(self._numbers)
        kind = MIX[number % len(MIX)]
        return kind, self._templates[kind][number % 4].replace(_MARK, b"soak-%010d" % number)


class Clients:
    """Threads that send at a rate, and note what came of it."""

    def __init__(self, port: int, payloads: Payloads) -> None:
        self._port, self._payloads = port, payloads
        self.answers: list[Answer] = []

    def send(self, per_s: float | None, seconds: float, senders: int = SENDERS) -> list[Answer]:
        """So many requests a second, at random moments (Poisson) and none waits for another; None: without a pause."""
        found: list[list[Answer]] = [[] for _ in range(senders)]
        until = time.monotonic() + seconds
        pace = None if per_s is None else per_s / senders
        threads = [threading.Thread(target=self._work, args=(one, pace, until, seed)) for seed, one in enumerate(found)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answers = sorted(itertools.chain.from_iterable(found), key=lambda one: one.at)
        self.answers += answers
        return answers

    def _work(self, found: list[Answer], pace: float | None, until: float, seed: int) -> None:
        """What was due while an answer was waited for counts from when it was due: a stall is felt by all it delays."""
        dice, due = random.Random(seed), time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while True:
            if pace is not None:
                due = max(due + dice.expovariate(pace), time.monotonic() - 1.0)
                time.sleep(max(0.0, due - time.monotonic()))
            if time.monotonic() >= until:
                connection.close()
                return
            found.append(self._one(connection, time.monotonic() if pace is None else due))

    def _one(self, connection: http.client.HTTPConnection, at: float) -> Answer:
        kind, payload = self._payloads.next()
        try:
            connection.request("POST", f"/v1/{kind}", payload, {"content-type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return Answer(at, time.monotonic() - at, 0, kind)
        has_it = answer.getheader("retry-after") is not None
        return Answer(at, time.monotonic() - at, answer.status, kind, has_it)


@dataclass
class Server:
    """`onejob serve` on one core."""

    data_dir: Path
    web_port: int = 0
    http_port: int = 0
    rss_mb: list[Memory] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.web_port, self.http_port, grpc_port = free_ports(3)
        environment = os.environ | {
            "ONEJOB_DATA_DIR": str(self.data_dir),
            "ONEJOB_WEB_PORT": str(self.web_port),
            "ONEJOB_OTLP_HTTP_PORT": str(self.http_port),
            "ONEJOB_OTLP_GRPC_PORT": str(grpc_port),
            "ONEJOB_SPOOL_MAX_BYTES": str(SPOOL_BYTES),
        }
        command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-c", SERVE, "serve"]
        self._log = (self.data_dir / "serve.log").open("wb")
        self._process = subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log)
        self._watching = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 180  # a machine that does other things as well
        while self.get("/readyz") != 200:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The server did not start: {(self.data_dir / 'serve.log').read_text()[-2000:]}")
            time.sleep(0.2)
        self._watcher.start()

    def get(self, path: str) -> int:
        """The status; 0 for no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
        return answer.status

    def waits(self) -> int:
        """Requests in the spool."""
        return int(self._json("/api/v1/status")["intake"]["spooled_requests"])

    def deployments(self) -> list[str]:
        """Versions that were seen to be deployed, and what is said of them."""
        found = self._json("/api/v1/deployments")["items"]
        return [f"{one['version']}: {(one['verdict'] or {}).get('state')}" for one in found]

    def _json(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=30)
        connection.request("GET", path)
        found = json.loads(connection.getresponse().read())
        connection.close()
        return found

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._watching.set()
        if self._watcher.ident is not None:
            self._watcher.join()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(120)
        self._log.close()

    def _watch(self) -> None:
        while not self._watching.wait(1.0):
            self.rss_mb.append(_memory(self._process.pid))


@contextmanager
def readers(server: Server) -> Iterator[Counter[int]]:
    """Four that look at pages and the API all the time; how often each status came."""
    seen, done = Counter[int](), threading.Event()

    def read() -> None:
        for path in itertools.cycle(PAGES):
            if done.wait(0.25):
                return
            seen[server.get(path)] += 1

    threads = [threading.Thread(target=read) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def drain(server: Server, timeout_s: float = 300.0) -> float:
    """Wait until everything is stored; seconds."""
    began = time.monotonic()
    while server.waits():
        if time.monotonic() - began > timeout_s:
            raise SystemExit(f"After {timeout_s:.0f} s {server.waits()} requests still wait to be stored.")
        time.sleep(0.1)
    return time.monotonic() - began


def capacity(server: Server, clients: Clients) -> float:
    """Requests a second from the first to the last that is stored, when clients never pause."""
    began = time.monotonic()
    answers = clients.send(None, CAPACITY_S)
    drain(server)
    return sum(one.status == 200 for one in answers) / (time.monotonic() - began)


def recovered_after(answers: list[Answer]) -> float | None:
    """Seconds until nothing was refused any more, and nothing slow for three seconds; None for never."""
    if not answers:
        return None
    first, end = answers[0].at, answers[-1].at - answers[0].at
    last_refused = max((one.at - first for one in answers if one.status != 200), default=0.0)
    slow = [one.at - first for one in answers if one.seconds > LIMITS["ack_p99_ms"] / 1e3]
    edges = [last_refused, *(at for at in slow if at > last_refused), end]
    return next((round(at, 1) for at, after in itertools.pairwise(edges) if after - at >= _SETTLED_S), None)


def growth_mb(rss_mb: list[Memory], since: float, until: float) -> float:
    """Median memory of the last three minutes less that of the three after the first; one minute's differs from the
    next one's by up to 100 MB, as merges come and go.
    """
    span = min(180.0, (until - since - 60) / 2)
    early = [one.server_mb + one.engine_mb for one in rss_mb if since + 60 <= one.at < since + 60 + span]
    late = [one.server_mb + one.engine_mb for one in rss_mb if until - span <= one.at < until]
    return statistics.median(late) - statistics.median(early) if early and late else float("nan")


def stored(data_dir: Path) -> dict[str, int]:
    """Items in the tables, by kind."""
    engine = open_engine(Settings(data_dir=data_dir))
    try:
        return {
            kind: sum(engine.query(f"SELECT count() AS n FROM {one}").to_pylist()[0]["n"] for one in tables)  # noqa: S608
            for kind, tables in TABLES.items()
        }
    finally:
        engine.close()


def _memory(pid: int) -> Memory:
    """Of the process and its children, shared pages counted once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return Memory(time.monotonic(), _pss_kb(pid) / 1024, sum(_pss_kb(int(one)) for one in children) / 1024)


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measure(seconds: float, overload_s: float, say: Callable[[str], None]) -> dict[str, object]:
    """All phases against one server; the figures."""
    with tempfile.TemporaryDirectory(prefix="onejob-soak-") as folder, ExitStack() as stack:
        server = Server(Path(folder))
        try:
            server.wait_ready()
            payloads = Payloads()
            clients = Clients(server.http_port, payloads)
            stack.callback(payloads.close)
            most = capacity(server, clients)
            say(f"It takes {most * PER_REQUEST:,.0f} items a second. {USUAL:.0%} of that for {seconds:.0f} s ...")
            began = time.monotonic()
            deploy = threading.Timer(_NEW_AFTER * seconds, payloads.deploy)
            deploy.start()
            with readers(server) as seen:
                usual = clients.send(USUAL * most, seconds)
            ended = time.monotonic()
            deployments = server.deployments()
            say(f"{TOO_MUCH:.0%} for {overload_s:.0f} s ...")
            overload = clients.send(TOO_MUCH * most, overload_s, SENDERS_OF_TOO_MUCH)
            after = clients.send(USUAL * most, 30.0)
            is_alive = server.is_alive()
            drained_s = drain(server)
        finally:
            server.stop()
        found = stored(Path(folder))
    acknowledged = Counter(one.kind for one in clients.answers if one.status == 200)
    times = [1e3 * one.seconds for one in usual]
    return {
        "capacity_items_per_s": round(most * PER_REQUEST),
        "acknowledged": PER_REQUEST * acknowledged.total(),
        "stored": sum(found.values()),
        "by_kind": {kind: [PER_REQUEST * acknowledged[kind], found[kind]] for kind in TABLES},
        "ack_p50_ms": round(statistics.median(times), 1),
        "ack_p99_ms": _p99(times),
        "refused_at_usual": sum(one.status != 200 for one in usual),
        "by_minute": by_minute(usual, server.rss_mb),
        "deployments": deployments,
        "readers": dict(seen),
        "rss_growth_mb": round(growth_mb(server.rss_mb, began, ended), 1),
        "rss_peak_mb": round(max(one.server_mb + one.engine_mb for one in server.rss_mb)),
        "overload": dict(Counter(one.status for one in overload)),
        "overload_offered": round(len(overload) / overload_s / most, 2),
        "overload_ack_p99_ms": _p99([1e3 * one.seconds for one in overload if one.status == 200]),
        "unclean": sum(not _is_clean(one) for one in clients.answers),
        "overload_recovery_s": recovered_after(after),
        "is_alive": is_alive,
        "drained_s": round(drained_s, 1),
    }


def by_minute(answers: list[Answer], rss_mb: list[Memory]) -> list[list[float]]:
    """Of each minute: requests, those refused, the 99th percentile of the time to an answer in ms, memory of server and
    engine in MB.
    """
    first, minutes = answers[0].at, dict[int, list[Answer]]()
    for one in answers:
        minutes.setdefault(int((one.at - first) // 60), []).append(one)
    return [
        [len(of), sum(one.status != 200 for one in of), _p99([1e3 * one.seconds for one in of]), *_mb(rss_mb, first, n)]
        for n, of in sorted(minutes.items())
    ]


def _mb(rss_mb: list[Memory], first: float, minute: int) -> list[float]:
    found = [one for one in rss_mb if minute * 60 <= one.at - first < (minute + 1) * 60]
    columns = ([one.server_mb for one in found], [one.engine_mb for one in found])
    return [round(statistics.median(mb)) if mb else float("nan") for mb in columns]


def _p99(times: list[float]) -> float:
    return round(sorted(times)[int(0.99 * len(times))], 1)


def _is_clean(one: Answer) -> bool:
    return one.status == 200 or (one.status in _CLEANLY and one.has_retry_after)


def faults(figures: dict[str, object]) -> list[str]:
    """What is not as it should be."""
    found = [name for name, limit in LIMITS.items() if not _within(figures[name], limit)]
    found += ["stored"] if figures["stored"] != figures["acknowledged"] else []
    found += [name for name in ("unclean", "refused_at_usual") if figures[name]]
    found += [] if figures["deployments"] else ["deployments"]
    return found + ([] if figures["is_alive"] else ["is_alive"])


def _within(value: object, limit: float) -> bool:
    return isinstance(value, int | float) and value <= limit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--json", type=Path, default=Path("bench/results/soak.json"))
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE if (os.cpu_count() or 1) > 1 else SERVER_CORE})
    console = Console()
    figures = measure(chosen.seconds, chosen.overload_seconds, console.print)
    table = Table("what", "measured", "limit", title=f"{chosen.seconds:.0f} s at {USUAL:.0%}, then {TOO_MUCH:.0%}")
    wrong = faults(figures)
    for name, value in figures.items():
        limit = LIMITS.get(name)
        table.add_row(name, f"{value}", "" if limit is None else f"{limit:g}", style="red" if name in wrong else "")
    console.print(table)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
