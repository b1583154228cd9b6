"""Databases of projects, beside one another in one engine."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onejob.config import Settings
from onejob.store.chdb import ChdbDatabase
from onejob.store.databases import drop_database, open_database
from onejob.store.engine import Engine, open_engine
from onejob.store.errors import EngineUnavailable, QueryFailed, StoreError
from onejob.store.migrate import migrate
from onejob.store.rollup import totals
from otlp_builders import a_moment, a_payload, a_service, a_span
from waiting import wait_until

from .test_lifecycle import counts_of, definition


@pytest.fixture(scope="module")
def plain() -> Settings:
    return Settings()


@pytest.fixture(scope="module")
def shop(engine: Engine, plain: Settings) -> Iterator[Engine]:
    shop = open_database(engine, plain.model_copy(update={"traces_retention_days": 3}), "shop")
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def web_shop(engine: Engine, plain: Settings) -> Iterator[Engine]:
    shop = open_database(engine, plain, "web-shop")
    yield shop
    shop.close()


def database_of(engine: Engine) -> str:
    return str(engine.query("SELECT currentDatabase() AS d").to_pylist()[0]["d"])


def test_the_same_batch_is_stored_once_in_each_project_and_seen_in_no_other(
    engine: Engine, shop: Engine, web_shop: Engine
) -> None:
    service, token = a_service(), a_service()
    before = [counts_of(one) for one in (engine, shop, web_shop)]
    payload = a_payload(a_span(), service=service)

    for _ in range(2):
        shop.insert_traces(payload, token)
        web_shop.insert_traces(a_payload(a_span(), a_span(), service=service), token)

    after = [counts_of(one) for one in (engine, shop, web_shop)]
    added = [tuple(now - then for now, then in zip(*pair, strict=True)) for pair in zip(after, before, strict=True)]
    assert added == [(0, 0), (1, 1), (2, 2)]
    assert len({database_of(one) for one in (engine, shop, web_shop)}) == 3


def test_each_project_keeps_its_telemetry_for_as_long_as_its_own_settings_say(
    engine: Engine, shop: Engine, web_shop: Engine, plain: Settings
) -> None:
    assert "toIntervalDay(3)" in definition(shop, "otel_traces")
    assert "toIntervalDay(14)" in definition(web_shop, "otel_traces")

    migrate(web_shop, plain.model_copy(update={"traces_retention_days": 5}))

    assert "toIntervalDay(5)" in definition(web_shop, "otel_traces")
    assert "toIntervalDay(3)" in definition(shop, "otel_traces")
    assert "toIntervalDay(14)" in definition(engine, "otel_traces")


def test_rows_that_are_there_expire_by_the_retention_that_is_set_now(engine: Engine, plain: Settings) -> None:
    """Not by the one that was set when they came: less is kept at once, and what is to be kept longer is not lost."""

    def keep(days: int) -> None:
        migrate(kept, plain.model_copy(update={"traces_retention_days": days}))

    def ages() -> list[int]:
        sql = "SELECT toUInt32(round(dateDiff('s', Timestamp, now()) / 86400)) AS d FROM otel_traces ORDER BY d"
        return [row["d"] for row in kept.query(sql).to_pylist()]

    def expire_in() -> list[int]:
        sql = (
            "SELECT toUInt32(round(dateDiff('s', now(), delete_ttl_info_max) / 86400)) AS d FROM system.parts "
            "WHERE active AND rows > 0 AND database = currentDatabase() AND table = 'otel_traces' ORDER BY d"
        )
        return [row["d"] for row in kept.query(sql).to_pylist()]

    kept = open_database(engine, plain.model_copy(update={"traces_retention_days": 60}), "kept")
    for days in (40, 10):
        kept.insert_traces(a_payload(a_span(start_ns=a_moment(days * 86_400))), f"{days} days")
    keep(30)
    wait_until(lambda: expire_in()[-1:] == [20], "noting that less is kept")
    kept.execute("OPTIMIZE TABLE otel_traces FINAL")
    assert ages() == [10]
    keep(90)
    wait_until(lambda: expire_in() == [80], "noting that more is kept")
    kept.close()
    drop_database(engine, "kept")


def test_a_statement_that_fails_leaves_the_next_one_upon_its_database(engine: Engine, shop: Engine) -> None:
    for _ in range(6):  # on every lane
        with pytest.raises(EngineUnavailable):
            shop.query("SELECT sum(sleepEachRow(0.1)) FROM numbers(9) SETTINGS max_block_size = 1", timeout_s=0.1)
        with pytest.raises(QueryFailed):
            engine.query("SELECT nonsense")
    for _ in range(6):
        assert database_of(shop) == shop.database
        assert database_of(engine) == engine.database


def test_closing_and_dropping_one_leaves_the_others(engine: Engine, shop: Engine, plain: Settings) -> None:
    gone = open_database(engine, plain, "gone")
    gone.insert_traces(a_payload(a_span(), service=a_service()), "token")
    gone.close()
    assert engine.is_up()

    drop_database(engine, "gone")
    drop_database(engine, "gone")

    with pytest.raises(StoreError):
        totals(engine.upon(engine.database_of("gone")))
    assert totals(shop) is not None
    again = open_database(engine, plain, "gone")
    assert totals(again).spans == 0
    again.insert_traces(a_payload(a_span(), service=a_service()), "token")
    assert counts_of(again) == (1, 1)
    again.close()
    drop_database(engine, "gone")


def test_a_database_of_somebody_else_is_neither_used_nor_dropped(engine: Engine, plain: Settings) -> None:
    name = engine.database_of("theirs")
    engine.execute(f"CREATE DATABASE {name}")
    engine.execute(f"CREATE TABLE {name}.kept (x UInt8) ENGINE = MergeTree ORDER BY x")

    with pytest.raises(StoreError, match=f"a database {name} that onejob has not made"):
        open_database(engine, plain, "theirs")
    with pytest.raises(StoreError, match="give the project another name"):
        drop_database(engine, "theirs")

    assert engine.query(f"EXISTS TABLE {name}.kept").to_pylist() == [{"result": 1}]
    engine.execute(f"DROP DATABASE {name} SYNC")


def test_a_project_is_whole_after_its_engine_was_killed_and_after_a_batch_was_cut_off(tmp_path: Path) -> None:
    """As in `test_lifecycle`, of a database of its own; the engine makes nothing of it by itself but opening it."""
    settings, payload = Settings(data_dir=tmp_path), a_payload(a_span(), service=a_service())
    engine = open_engine(settings)
    shop = open_database(engine, settings, "shop")
    assert isinstance(shop, ChdbDatabase)
    shop.insert_traces(payload, "before")
    shop.insert_traces(payload, "cut off")
    parts = (
        "SELECT path FROM system.parts WHERE active AND database = currentDatabase() AND table = 'otel_traces' "
        "ORDER BY max_block_number DESC"
    )
    path = shop.query(parts).to_pylist()[0]["path"]
    assert shop.pid is not None
    os.kill(shop.pid, 9)
    shutil.rmtree(path)

    insert_when_up(shop, payload, "cut off")
    insert_when_up(shop, payload, "cut off")
    counts = counts_of(shop), counts_of(engine)[0]
    engine.close()

    assert counts == ((2, 2), 0)


def insert_when_up(engine: Engine, payload: bytes, token: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            engine.insert_traces(payload, token)
        except EngineUnavailable:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the engine did not come back")
