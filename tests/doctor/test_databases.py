"""Where no server runs, the doctor asks the databases that its settings name."""

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from onejob.config import Settings
from onejob.doctor.databases import look_at_databases, look_at_encryption
from onejob.doctor.finding import Finding, Health
from state_postgres import Postgres
from store.clickhouse_node import ClickHouseNode


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseNode]:
    node = ClickHouseNode(tmp_path_factory.mktemp("clickhouse"))
    yield node
    node.stop()


def found(**settings: str) -> dict[str, Finding]:
    return {finding.check: finding for finding in look_at_databases(Settings(**settings))}  # type: ignore[arg-type]


def test_databases_that_answer_are_healthy_and_stay_as_they_are(node: ClickHouseNode, postgres: Postgres) -> None:
    healthy = found(store_url=f"{node.url}/not_made", state_url=postgres.fresh())
    assert {name: finding.health for name, finding in healthy.items()} == {
        "engine": Health.OK,
        "state database": Health.OK,
    }
    parts = urlsplit(node.url)
    with urllib.request.urlopen(f"http://127.0.0.1:{parts.port}/?query=SHOW%20DATABASES", timeout=10) as answer:
        assert b"not_made" not in answer.read()


@pytest.mark.parametrize("is_silent", [False, True], ids=["refused", "silent"])
def test_databases_that_do_not_answer_are_problems_with_what_to_do(is_silent: bool) -> None:
    """The silent one takes connections, and says nothing: that ends, too."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if is_silent:
            listener.listen()
        port = listener.getsockname()[1]
        away = found(
            store_url=f"http://default:secret-word@127.0.0.1:{port}/onejob",
            state_url=f"postgresql+psycopg://onejob:secret-word@127.0.0.1:{port}/onejob",
        )
    engine, state = away["engine"], away["state database"]
    assert (engine.health, state.health) == (Health.PROBLEM, Health.PROBLEM)
    assert f"127.0.0.1:{port}" in engine.says
    assert "ONEJOB_STORE_URL" in engine.remedy
    assert "ONEJOB_STATE_URL" in state.remedy
    assert "secret-word" not in repr(away)


def test_a_password_or_an_address_that_is_wrong_is_a_problem(node: ClickHouseNode, tmp_path: Path) -> None:
    wrong = node.url.replace("default:", "reader:wrong")
    assert found(store_url=wrong)["engine"].health is Health.PROBLEM
    assert found(store_url="nonsense")["engine"].health is Health.PROBLEM
    nowhere = f"postgresql+psycopg://nobody@/nothing?host={tmp_path}"
    assert found(state_url=nowhere)["state database"].health is Health.PROBLEM
    assert "ONEJOB_STATE_URL" in found(state_url="nonsense")["state database"].remedy


def test_what_is_embedded_is_not_asked() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [
        ({"store_url": "http://default:@ch.example:8123/onejob"}, ["ch.example"]),
        ({"store_url": "https://default:@ch.example:8443/onejob"}, []),
        ({"store_url": "http://default:@127.0.0.1:8123/onejob"}, []),
        ({"state_url": "postgresql://onejob@pg.example/onejob"}, ["pg.example"]),
        ({"state_url": "postgresql://onejob@pg.example/onejob?sslmode=prefer"}, ["pg.example"]),
        ({"state_url": "postgresql+psycopg://onejob@/onejob?host=pg.example"}, ["pg.example"]),
        ({"state_url": "postgresql+psycopg://onejob@pg.example/onejob?sslmode=verify-full"}, []),
        ({"state_url": "postgresql+psycopg://onejob@/onejob?host=/run/postgresql"}, []),
        ({"state_url": "postgresql+psycopg://onejob@localhost/onejob"}, []),
    ],
)
def test_a_database_elsewhere_that_is_spoken_to_in_clear_is_a_warning(
    settings: dict[str, str], hosts: list[str]
) -> None:
    findings = list(look_at_encryption(Settings(**settings)))  # type: ignore[arg-type]
    assert [finding.health for finding in findings] == [Health.WARNING] * len(hosts)
    assert all(host in finding.says for host, finding in zip(hosts, findings, strict=True))
