"""Several projects behind the same ports: telemetry goes where its token says, and a flood of one floods no other."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.ingest.flusher import BATCHES_AT_ONCE, Flusher, FlushPolicy
from onejob.ingest.room import Room
from onejob.ingest.service import Intake, ProjectIntake
from onejob.ingest.turns import SharedThreads, Turns
from onejob.store.databases import open_database
from onejob.store.engine import Engine
from otlp_builders import a_log_request, a_metric_request, a_payload, a_record, a_service, a_span

from .conftest import EXPORT, some_settings
from .exporters import an_exporter
from .server_process import TokensOfProjects
from .spools import a_spool
from .waiting import stored, wait_until
from .wire import sample, snappy, write_1

PROTOBUF = {"content-type": "application/x-protobuf"}
ALL_TABLES = (
    "SELECT (SELECT count() FROM otel_traces WHERE ServiceName = {s:String}) "
    "+ (SELECT count() FROM otel_logs WHERE ServiceName = {s:String}) "
    "+ (SELECT count() FROM otel_metrics_gauge WHERE ServiceName = {s:String}) AS n"
)
SITE = "https://shop.example"


class Server:
    """An intake with the projects `default`, `blue` and `green`, each with a database of the same engine."""

    def __init__(self, folder: Path, engine: Engine, stack: ExitStack, **fields: Any) -> None:
        self.settings = some_settings(folder, **fields)
        self.intake = Intake(self.settings, engine, TokensOfProjects({SITE: "blue"}))
        stack.callback(self.intake.stop)
        self.engines = {"default": engine}
        self.intakes: dict[str, ProjectIntake] = {}
        for name in ("blue", "green"):
            its = self.its_settings(name)
            self.engines[name] = open_database(engine, its, name)
            self.intakes[name] = self.intake.open(name, its, self.engines[name])
        self.intake.start()
        self.url = f"http://127.0.0.1:{self.intake.http_port}"

    def its_settings(self, name: str) -> Any:
        return self.settings.model_copy(update={"data_dir": self.settings.data_dir / "projects" / name})

    def export(self, payload: bytes, *, token: str = "", method: str = EXPORT) -> None:
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        with grpc.insecure_channel(f"127.0.0.1:{self.intake.grpc_port}") as channel:
            channel.unary_unary(method)(payload, metadata=metadata, timeout=60)

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        sent = PROTOBUF | {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(self.url + path, content=body, headers=sent, timeout=60)

    def where(self, service: str) -> set[str]:
        """The projects that have something of the service."""
        return {name for name, one in self.engines.items() if one.query(ALL_TABLES, {"s": service}).to_pylist()[0]["n"]}


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ExitStack() as stack:
        yield Server(tmp_path_factory.mktemp("projects"), engine, stack)


def _remote_write(service: str) -> bytes:
    return write_1(({"__name__": "depth", "job": service}, [sample(1.0, int(time.time()) * 1000)]))


def _push(service: str) -> bytes:
    line = [str(int(time.time()) * 10**9), service]
    return json.dumps({"streams": [{"stream": {"service_name": service}, "values": [line]}]}).encode()


DOORS: dict[str, Callable[[Server, str, str], Any]] = {
    "OTLP/gRPC": lambda server, service, token: server.export(a_payload(a_span(), service=service), token=token),
    "OTLP/HTTP traces": lambda server, service, token: server.post(
        "/v1/traces", a_payload(a_span(), service=service), authorization=f"Bearer {token}"
    ),
    "OTLP/HTTP logs": lambda server, service, token: server.post(
        "/v1/logs",
        a_log_request(a_record(), service=service).SerializeToString(),
        authorization=f"Bearer {token}",
    ),
    "OTLP/HTTP metrics": lambda server, service, token: server.post(
        "/v1/metrics", a_metric_request(service).SerializeToString(), authorization=f"Bearer {token}"
    ),
    "remote write": lambda server, service, token: server.post(
        "/api/v1/write",
        snappy(_remote_write(service)),
        authorization=f"Bearer {token}",
        content_encoding="snappy",
    ),
    "Loki": lambda server, service, token: server.post(
        "/loki/api/v1/push", _push(service), authorization=f"Bearer {token}", content_type="application/json"
    ),
    "Sentry": lambda server, service, token: server.post(
        f"/{service}/api/1/store/", b'{"message": "it broke"}', x_sentry_auth=f"Sentry sentry_key={token}"
    ),
    "a page's log": lambda server, service, token: server.post(
        f"/v1/logs?token={token}", a_log_request(a_record(), service=service).SerializeToString(), origin=SITE
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_what_comes_with_a_token_is_in_its_project_and_in_no_other(server: Server, door: str) -> None:
    service = a_service()
    answer = DOORS[door](server, service, "onejob_blue")
    assert answer is None or answer.is_success, answer.text
    wait_until(lambda: server.where(service) == {"blue"}, "storing")


def test_what_comes_without_a_token_is_in_default_as_is_what_says_something_else(server: Server) -> None:
    services = [a_service() for _ in range(3)]
    server.export(a_payload(a_span(), service=services[0]))
    server.post("/v1/traces", a_payload(a_span(), service=services[1]), authorization="Basic c2hvcDpzZWNyZXQ=")
    server.post("/v1/traces", a_payload(a_span(), service=services[2]), origin="http://localhost:3000")
    wait_until(lambda: [server.where(one) for one in services] == [{"default"}] * 3, "storing")


def test_what_comes_with_a_token_that_is_none_any_more_is_nowhere(server: Server) -> None:
    service = a_service()
    answer = server.post("/v1/traces", a_payload(a_span(), service=service), authorization="Bearer onejob_revoked")
    with pytest.raises(grpc.RpcError) as refusal:
        server.export(a_payload(a_span(), service=service), token="onejob_revoked")
    assert (answer.status_code, refusal.value.code()) == (401, grpc.StatusCode.UNAUTHENTICATED)
    assert b"without a token is for the project `default`" in answer.content

    server.export(a_payload(a_span(), service="after"), token="")
    wait_until(lambda: "default" in server.where("after"), "storing what came after it")
    assert server.where(service) == set()


def test_a_page_whose_site_only_a_token_names_needs_that_token(server: Server) -> None:
    body = a_log_request(a_record(), service=a_service()).SerializeToString()
    assert server.post("/v1/logs", body, origin=SITE).status_code == 401
    assert server.post("/v1/logs?token=onejob_green", body, origin=SITE).status_code == 401
    assert server.post("/v1/logs?token=onejob_blue", body, origin=SITE).status_code == 200


def test_a_project_that_is_not_open_is_waited_for_and_keeps_what_was_acknowledged(
    server: Server, engine: Engine
) -> None:
    service, bearer = a_service(), "Bearer onejob_late"
    early = server.post("/v1/traces", a_payload(a_span(), service=service), authorization=bearer)
    assert (early.status_code, early.headers["retry-after"]) == (503, "5")

    its = server.its_settings("late")
    server.engines["late"] = open_database(engine, its, "late")
    for spans in (1, 2):
        server.intake.open("late", its, server.engines["late"])
        payload = a_payload(*(a_span() for _ in range(spans)), service=service)
        assert server.post("/v1/traces", payload, authorization=bearer).status_code == 200
        server.intake.close("late")
    server.intake.close("late")
    assert server.post("/v1/traces", a_payload(a_span(), service=service), authorization=bearer).status_code == 503

    server.intake.open("late", its, server.engines["late"])
    wait_until(lambda: stored(server.engines["late"], service) == 3, "storing")
    assert server.where(service) == {"late"}
    server.intake.close("late")


def test_each_project_is_told_of_its_own_telemetry_only(server: Server) -> None:
    green = server.intake.open("told", server.its_settings("told"), server.engines["green"])
    before = server.intake.stats()
    server.export(a_payload(a_span(), a_span()), token="onejob_told")
    assert green.settle(60)
    after = server.intake.stats()
    server.intake.close("told")
    assert (green.stats().accepted_spans, green.grpc_port) == (2, server.intake.grpc_port)
    assert (after.accepted_spans, after.spooled_bytes) == (before.accepted_spans, before.spooled_bytes)


def test_a_scraped_target_is_in_the_project_that_the_settings_say(engine: Engine, tmp_path: Path) -> None:
    with an_exporter("depth 1\n") as page, ExitStack() as stack:
        mine, lost = a_service(), a_service()
        targets = [
            {"url": page.url, "job": job, "interval_s": 1.0, "timeout_s": 0.5, "project": project}
            for job, project in ((mine, "green"), (lost, "nowhere"))
        ]
        server = Server(tmp_path, engine, stack, scrape_targets=targets)
        wait_until(lambda: server.where(mine) == {"green"}, "scraping")
        wait_until(lambda: server.intake._scraper.failing("nowhere") != {}, "saying that its project is not there")
        assert server.where(lost) == set()


# --- fair between projects ------------------------------------------------------------------------------------------


@contextmanager
def flooding(server: Server, token: str, service: str) -> Iterator[dict[str, int]]:
    """As fast as several connections can, much and little in turn, so that it is full to the brim. How many spans were
    acknowledged, and how many requests refused; of them with little.
    """
    many = a_payload(*(a_span() for _ in range(500)), service=service)
    counts, lock, done = {"acknowledged": 0, "refused": 0, "little": 0}, threading.Lock(), threading.Event()
    codes: set[Any] = set()

    def send() -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"127.0.0.1:{server.intake.grpc_port}", options=options) as channel:
            export = channel.unary_unary(EXPORT)
            is_much = False
            while not done.is_set():
                is_much = not is_much
                payload = a_payload(a_span(), service=service)  # no two are the same
                try:
                    export(many * is_much + payload, metadata=(("authorization", f"Bearer {token}"),), timeout=60)
                except grpc.RpcError as error:
                    codes.add(error.code())
                    with lock:
                        counts["refused"] += 1
                        counts["little"] += not is_much
                else:
                    with lock:
                        counts["acknowledged"] += 501 if is_much else 1

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert codes <= {grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_a_flood_of_one_project_is_refused_while_another_one_s_trickle_is_taken_and_stored(
    engine: Engine, tmp_path: Path
) -> None:
    flood, trickle = a_service(), a_service()
    with ExitStack() as stack:
        server = Server(tmp_path, engine, stack, spool_max_bytes=4 * 2**20)
        with flooding(server, "onejob_blue", flood) as counts:
            wait_until(lambda: counts["refused"] > 0, "filling the part of the one")
            for number in range(20):
                server.export(a_payload(a_span(), service=trickle), token="onejob_green")
                if number == 10:
                    wait_until(lambda: stored(server.engines["green"], trickle) > 0, "storing in between")
                time.sleep(0.1)
            refusal = server.post(
                "/v1/traces", a_payload(*(a_span() for _ in range(2000))), authorization="Bearer onejob_blue"
            )
            with server.intakes["blue"].paused(60):  # so that its part of the spool stays full
                full = counts["little"] + 20
                wait_until(lambda: counts["little"] > full, "filling it to the brim")
                for _ in range(5):
                    server.export(a_payload(a_span(), service=trickle), token="onejob_green")
            wait_until(lambda: stored(server.engines["green"], trickle) == 25, "storing all of the other's")
        if refusal.status_code != 200:  # between two batches there is room
            assert (refusal.status_code, refusal.headers["retry-after"]) == (429, "10")
        wait_until(lambda: stored(server.engines["blue"], flood) == counts["acknowledged"], "storing the flood")
        assert (server.where(flood), server.where(trickle)) == ({"blue"}, {"green"})
        assert server.intake.stats().refused == {}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 60), st.booleans()), max_size=60), st.integers(10, 200))
def test_together_projects_never_have_more_than_there_is_and_each_always_has_its_part(
    steps: list[tuple[int, int, bool]], size: int
) -> None:
    room = Room(size)
    parts = [room.part() for _ in range(5)]
    for which, amount, is_taken in steps:
        if is_taken:
            had, its_own = parts[which].used, size // 10
            was_taken = parts[which].take(amount)
            assert was_taken or had + amount > its_own
        else:
            parts[which].add(-min(amount, parts[which].used))
        assert sum(part.used for part in parts) <= size
    for part in parts[1:]:
        part.close()
    parts[0].add(-parts[0].used)
    assert parts[0].take(size), "one that is alone may use all"


def test_who_had_a_turn_comes_after_those_who_wait() -> None:
    turns, order, stop = Turns(1), list[str](), threading.Event()
    begun = [threading.Event() for _ in range(2)]

    def work(name: str, times: int) -> None:
        for _ in range(times):
            with turns.turn(stop) as turn:
                assert turn.is_ours
                order.append(name)
                begun[0].set()
                assert begun[1].wait(60)
                time.sleep(0.02)

    flood = threading.Thread(target=work, args=("flood", 6))
    flood.start()
    assert begun[0].wait(60)
    trickle = threading.Thread(target=work, args=("trickle", 2))
    trickle.start()
    wait_until(lambda: len(turns._waiting) == 1, "queueing")
    begun[1].set()
    flood.join()
    trickle.join()
    assert order[:2] == ["flood", "trickle"]


def test_who_gives_up_waiting_loses_nobody_a_turn() -> None:
    turns, gone = Turns(1), threading.Event()
    with turns.turn(threading.Event()):
        gone.set()
        with turns.turn(gone) as given_up:
            assert not given_up.is_ours
    with turns.turn(threading.Event()) as turn:
        assert turn.is_ours
    assert BATCHES_AT_ONCE > 1


def test_who_cannot_go_on_lets_others_have_the_turn_and_comes_back_to_it() -> None:
    turns, stop = Turns(1, 10), threading.Event()
    for size, is_given in ((10, True), (11, False), (10, True)):
        had = list[bool]()

        def other(had: list[bool] = had) -> None:
            with turns.turn(threading.Event()):
                had.append(True)

        with turns.turn(stop) as turn:
            waiting = threading.Thread(target=other)
            waiting.start()
            wait_until(lambda: len(turns._waiting) == 1, "queueing")
            turn.rest(0.2, size)
            assert (turn.is_ours, had) == (True, [True] if is_given else [])
        waiting.join()


def test_who_is_told_to_stop_while_others_have_the_turn_takes_it_from_nobody() -> None:
    turns, stop = Turns(1, 10), threading.Event()
    with turns.turn(stop) as turn, ExitStack() as others:
        begun = threading.Event()

        def other() -> None:
            with turns.turn(threading.Event()):
                begun.set()
                assert stop.wait(60)
                assert done.wait(60)

        done = threading.Event()
        waiting = threading.Thread(target=other)
        others.callback(waiting.join)
        others.callback(done.set)
        waiting.start()
        wait_until(lambda: len(turns._waiting) == 1, "queueing")
        threading.Thread(target=lambda: begun.wait(60) and stop.set()).start()
        turn.rest(60, 0)
        assert not turn.is_ours
    with turns.turn(threading.Event()) as first:
        assert first.is_ours
        assert turns._free == 0


def test_a_project_whose_database_takes_nothing_keeps_no_other_waiting(engine: Engine, tmp_path: Path) -> None:
    turns, policy, service = Turns(1, 2**20), FlushPolicy(interval_s=0.05, max_items=100), a_service()
    stuck_engine = open_database(engine, some_settings(tmp_path), "stuck")
    stuck_engine.insert_traces(a_payload(a_span(), service=service), "first")
    stuck_engine.execute("ALTER TABLE otel_traces MODIFY SETTING parts_to_throw_insert = 1")
    with ExitStack() as stack:
        flushers = []
        for name, its_engine in (("stuck", stuck_engine), ("free", engine)):
            (tmp_path / name).mkdir()
            spool = stack.enter_context(a_spool(tmp_path / name))
            flusher = Flusher(spool, its_engine, policy, turns)
            stack.callback(flusher.stop)
            flusher.start()
            spool.append(a_payload(a_span(), service=service), 1).result()
            flushers.append(flusher)
            if name == "stuck":
                wait_until(lambda stuck=flusher: "Too many parts" in stuck.trouble, "its refusal")  # type: ignore[misc]
        stuck, free = flushers
        wait_until(lambda: free.stored["traces"] == 1, "storing the other's")
        assert (stored(engine, service), stuck.stored["traces"]) == (1, 0)
        stuck_engine.execute("ALTER TABLE otel_traces RESET SETTING parts_to_throw_insert")
        wait_until(lambda: stuck.stored["traces"] == 1, "storing what waited")
    assert stored(stuck_engine, service) == 2


def test_threads_do_the_work_of_projects_in_turn_and_hand_errors_on() -> None:
    threads, order, go = SharedThreads(1, "test"), list[str](), threading.Event()
    first = threads.run("a", lambda: go.wait(60))
    futures = [threads.run("a", lambda number=number: order.append(f"a{number}")) for number in range(3)]
    futures.append(threads.run("b", lambda: order.append("b0")))
    failing = threads.run("b", lambda: 1 // 0)
    go.set()
    assert first.result() is True
    assert [future.result() for future in futures] == [None] * 4
    with pytest.raises(ZeroDivisionError):
        failing.result()
    threads.close()
    assert order == ["a0", "b0", "a1", "a2"]
