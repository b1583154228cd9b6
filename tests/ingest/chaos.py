"""Whatever happens to a server, its engine, its disk and its clock, at random and under load; and then the count.

    make chaos ARGS="--seed 7 --events 50"

The server is the whole one, with two projects, and somebody looks at its pages. Everything that was acknowledged has to
be there, once. One thing can cost acknowledged requests: damage to the disk they waited on. Then each that is missing
must have been told of in the log. It needs root, to mount a small disk of its own. The clock is the server's; the
engine is a process of its own, and keeps its clock.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path

import httpx

from ports import free_ports

from .clients import SERVICE, Clients, lost_requests
from .server_process import ServerProcess
from .waiting import wait_until

DISK = "384m"
PAGE_BYTES = 16384
CLIENT_TIMEOUT_S = 2.0
PROJECT = "shop"
PAGES = ("/deployments", "/errors", "/customers", "/api/v1/status", f"/p/{PROJECT}/deployments", "/metrics")
_LOST = re.compile(r"and (\d+) requests? could not")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk that can be filled, in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "onejob-chaos", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Storm:
    """`log` is outside of the small disk. Events are methods, by name."""

    def __init__(self, log: Path, disk: Path, seed: int) -> None:
        self._log, self._disk = log, disk
        self._dice = random.Random(seed)
        self._ports = dict(zip(("otlp_grpc_port", "otlp_http_port", "web_port"), free_ports(3), strict=True))
        self._server = self._start()
        grpc_port, http_port, _ = self._ports.values()
        self.clients = [
            Clients(grpc_port, http_port, timeout_s=CLIENT_TIMEOUT_S, pause_s=0.04, project=project, token=token)
            for project, token in {"default": "", **self._server.tokens}.items()
        ]
        self.seen: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()

    def pass_over(self, events: list[str], say: Callable[[str], None]) -> None:
        with ExitStack() as stack:
            for clients in self.clients:
                stack.enter_context(clients.sending())
            stack.enter_context(self._looking())
            for number, name in enumerate(events, 1):
                time.sleep(self._dice.uniform(0.3, 1.5))
                told = EVENTS[name](self)
                self.seen[name] += 1
                say(f"{number:>4}  {name:<16} {told}")
            time.sleep(1.0)

    def count(self) -> tuple[int, int]:
        """Acknowledged requests that are missing, and how many the log tells of. All others are stored once."""
        self._engine_pid()
        missing = sum(lost_requests(self._server, clients) for clients in self.clients)
        assert self._server.stop() == 0
        return missing, self.told_lost()

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Somebody looks at pages, of whom nothing is asked but that no page breaks the count; see `answers`."""
        done = threading.Event()

        def look() -> None:
            for page in cycle(PAGES):
                if done.wait(0.2):
                    return
                try:
                    found = httpx.get(f"http://127.0.0.1:{self._ports['web_port']}{page}", timeout=CLIENT_TIMEOUT_S)
                except httpx.HTTPError:
                    continue
                self.answers[found.status_code] += 1

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def told_lost(self) -> int:
        return sum(map(int, _LOST.findall(self._log.read_text())))

    # --- events, each of which says what it did ---

    def kill_server(self) -> str:
        self._server.kill()
        self._server = self._start()
        return "kill -9, started again"

    def kill_engine(self) -> str:
        os.kill(self._engine_pid(), signal.SIGKILL)
        return "kill -9"

    def freeze_server(self) -> str:
        return self._freeze(self._server.pid)

    def freeze_engine(self) -> str:
        return self._freeze(self._engine_pid())

    def fill_disk(self) -> str:
        seconds, ballast = self._dice.uniform(0.5, 3.0), self._disk / "ballast"
        written = 0
        with suppress(OSError), ballast.open("wb", buffering=0) as file:  # which says that it is full
            while True:
                written += file.write(bytes(2**20))
        time.sleep(seconds)
        ballast.unlink()
        return f"full for {seconds:.1f} s, with {written >> 20} MB"

    def damage_spool(self) -> str:
        """While the engine is frozen, so that something waits in it; then the server is killed."""
        engine = self._engine_pid()
        os.kill(engine, signal.SIGSTOP)
        time.sleep(self._dice.uniform(0.3, 1.0))
        self._server.kill()
        os.kill(engine, signal.SIGKILL)
        before = self.told_lost()
        told = self._overwrite()
        self._server = self._start()
        return f"{told}: {self.told_lost() - before} requests told to be lost"

    def jump_clock(self) -> str:
        hours = self._dice.choice([-7, -3, -1, 1, 3, 7])
        self._server.ask(hours * 3600)
        return f"{hours:+d} h from what it is"

    # --- their tools ---

    def _start(self) -> ServerProcess:
        settings = {"data_dir": str(self._disk / "data"), "flush_interval_s": 0.2, "min_free_disk_bytes": 0}
        return ServerProcess(log=self._log, projects=(PROJECT,), whole=True, **settings, **self._ports)

    def _engine_pid(self) -> int:
        wait_until(lambda: self._server.ask("engine_pid") is not None, "restarting the engine")
        return int(self._server.ask("engine_pid"))

    def _freeze(self, pid: int) -> str:
        seconds = self._dice.uniform(0.5, CLIENT_TIMEOUT_S + 2)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
        return f"for {seconds:.1f} s"

    def _overwrite(self) -> str:
        """Where a request lies, in the file or in its log; but not at the log's end, which a crash may cut off too."""
        places = []
        for file in (self._disk / "data").glob("**/spool.db*"):
            data = file.read_bytes()
            found = [match.start() for match in re.finditer(SERVICE.encode(), data)]
            places += [(file, at) for at in found if file.suffix == ".db" or at < len(data) * 3 // 4]
        if not places:
            return "nothing waited in it"
        file, at = self._dice.choice(places)
        length = self._dice.choice([1, 64, PAGE_BYTES // 2])
        with file.open("r+b") as opened:
            opened.seek(at)
            old = opened.read(length)
            opened.seek(at)
            opened.write(bytes(byte ^ 0xFF for byte in old))
        return f"{length} bytes of {file.relative_to(self._disk / 'data')}"


EVENTS: dict[str, Callable[[Storm], str]] = {
    "kill server": Storm.kill_server,
    "kill engine": Storm.kill_engine,
    "freeze server": Storm.freeze_server,
    "freeze engine": Storm.freeze_engine,
    "fill disk": Storm.fill_disk,
    "damage spool": Storm.damage_spool,
    "jump clock": Storm.jump_clock,
}


def missing_parts() -> str:
    """What this machine lacks for it; empty where nothing is."""
    return "" if sys.platform == "linux" and os.geteuid() == 0 else "needs Linux and root, to mount a small disk"


def some_events(seed: int, count: int) -> list[str]:
    """Each kind as often as the others, but for what is left over, in a random order."""
    dice = random.Random(seed)
    return dice.sample((list(EVENTS) * (count // len(EVENTS) + 1))[:count], count)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=50)
    options = parser.parse_args()
    if missing_parts():
        raise SystemExit(f"make chaos {missing_parts()}.")
    with tempfile.TemporaryDirectory(prefix="onejob-chaos-") as name, small_disk(Path(name) / "disk") as disk:
        storm = Storm(Path(name) / "server.log", disk, options.seed)
        storm.pass_over(some_events(options.seed, options.events), lambda line: print(line, flush=True))
        missing, told = storm.count()
    sent = " and ".join(
        f"{len(its.sent_ids)} spans, {len(its.sent_logs)} log records, {len(its.sent_metrics)} x 5 points "
        f"({its.project}, after {its.failures} tries that failed)"
        for its in storm.clients
    )
    print(f"Acknowledged: {sent}. None is stored twice.")
    print(f"Missing: {missing} requests; the log tells of {told} that damage to the disk cost.")
    print(f"Pages looked at meanwhile, by status: {dict(sorted(storm.answers.items()))}.")
    raise SystemExit(missing > told)


if __name__ == "__main__":
    main()
