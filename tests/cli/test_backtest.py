"""`onejob backtest` against a real server: the report as table, document and page; what is said when there is none."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from history.traffic import Arm, store
from servers import RunningServer, running_server

from .conftest import Run

pytestmark = pytest.mark.alone  # the replay waits for every other process of the machine
LOW_PRIORITY_S = 250.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    times = {"bin_width_s": 1, "tick_s": 1, "watermark_s": 3, "warm_up_s": 10, "judge_horizon_s": 120}
    with running_server(tmp_path_factory.mktemp("server"), **times) as server:
        assert server.services.engine is not None
        store(server.services.engine, Arm("1", (-300, 90), instances=2), Arm("2", (0, 60), failing=0.3), service="shop")
        store(server.services.engine, Arm("1", (-60, 90)), service="quiet")
        yield server


def test_every_deployment_of_the_past_is_told_with_its_verdict_and_the_server_keeps_the_report(
    server: RunningServer, onejob: Run, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    told = onejob("backtest", "--since", "1h", "--report", str(file), url=server.url, timeout=LOW_PRIORITY_S)
    assert told.returncode == 0, told.stderr
    assert "shop" in told.stdout
    assert "1 worse" in told.stderr
    assert "onejob would have called 1 of 1 deployment worse" in file.read_text()
    assert "onejob would have called 1 of 1 deployment worse" in httpx.get(f"{server.url}/backtest").text
    report = httpx.get(f"{server.url}/api/v1/backtests/latest").json()["report"]
    assert report["services"] == ["quiet", "shop"]
    (one,) = report["deployments"]
    assert (one["deployment"]["service"], one["deployment"]["version"]) == ("shop", "2")
    assert one["verdict"]["state"] == "worse"
    assert 0 < one["decided_after_s"] < 60
    assert one["saved"]["requests"] > one["saved"]["failed"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--since", "2999-01-01"), 1, "in the future by this server's clock"),
        (("--since", "0001-06-01", "--until", "0001-07-01"), 1, "cannot be when a deployment happened"),
        (("--since", "1h", "--until", "2020-01-01"), 1, "The time is empty"),
        (("--since", "500d"), 1, "longer than 400 days"),
        (("--since", "999999999999d"), 2, "before the beginning of time"),
        (("--since", "yesterday"), 2, "is no time"),
        (("--report", "nowhere/report.html"), 2, "its folder does not exist"),
        (("--store-url", "http://reader:secret@127.0.0.1:1/otel"), 4, "No ClickHouse answers at 127.0.0.1:1"),
        (("--store-url", "http://reader:secret@clickhouse:http"), 4, "must look like"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    arguments: tuple[str, ...], code: int, said: str, server: RunningServer, onejob: Run
) -> None:
    told = onejob("backtest", *arguments, url=server.url)
    assert told.returncode == code
    assert "secret" not in told.stderr
    assert said in " ".join(told.stderr.split())
