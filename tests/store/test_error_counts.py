"""Errors are read and counted alike by both engines, on names that try to be SQL."""

from datetime import timedelta

from known.builders import NOW, Store, a_failing_span, a_line, stack
from onejob.model.known_error import ErrorKind
from onejob.state.database import Database
from onejob.store.engine import Engine
from otlp_builders import a_service

MINUTE = timedelta(minutes=1)
HOSTILE = "it's 'v\\1' {x:String} ${y} % é"


def test_errors_are_counted_once_by_version_and_minute(engine: Engine, sqlite_database: Database) -> None:
    store = Store(engine, sqlite_database, a_service())
    store.spans(*(a_failing_span(NOW - n * MINUTE, stack(line=n + 1)) for n in (2, 3)), version=HOSTILE)
    store.lines(a_line(NOW - MINUTE, "payment 17 declined", 13))
    store.look()
    store.look(NOW + MINUTE)

    found = {error.kind: store.count(error) for error in store.found()}
    assert found == {ErrorKind.ERROR: {HOSTILE: 2}, ErrorKind.LOG_TEMPLATE: {"1": 1}}
    listed = store.catalogue.page(limit=10, wanted=store.wanted())
    assert set((listed.counts or {}).values()) == {1, 2}
    (error,) = store.found(kind="error")
    steps = store.catalogue.detail(error.id, timedelta(hours=1)).counts or ()
    assert [one.count for one in steps] == [1, 1]
