"""Errors become known from real spans and log records in a real engine, once, whatever happens in between."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from meanwhile import Meanwhile
from onejob.known.look import ErrorLook
from onejob.known.reading import read_begin
from onejob.known.templates import LogTemplates
from onejob.model.known_error import ErrorKind, ErrorStatus
from onejob.state.error_lists import ErrorFilter
from onejob.state.errors import ConflictError, ForgottenMeanwhileError
from onejob.state.forgotten import nothing_older
from onejob.state.readings import Readings
from onejob.state.versions import KnownVersion, KnownVersions
from onejob.store.errors import QueryFailed

from .builders import BEGUN, NOW, Store, a_failing_span, a_line, stack, titles

MINUTE = timedelta(minutes=1)


def test_an_error_is_known_once_with_its_first_and_last_moment_its_versions_and_an_example(store: Store) -> None:
    first, last = NOW - 20 * MINUTE, NOW - 2 * MINUTE
    begun = a_failing_span(first, stack(line=42))
    store.spans(begun, a_failing_span(first + MINUTE, stack(line=42)))
    store.spans(a_failing_span(last, stack(line=57, at="/srv/v2"), message="'sku-9'"), version="2")

    store.look()

    error = store.only()
    assert (error.kind, error.title) == (ErrorKind.ERROR, "KeyError in price (checkout/pricing.py)")
    assert (error.first_seen_at, error.last_seen_at) == (first, last)
    assert (error.first_version, error.last_version) == ("1", "2")
    assert (error.trace_id, error.span_id) == (begun.trace_id.hex(), begun.span_id.hex())
    assert (error.sample, error.message) == (stack(line=42), "'sku-1'")
    assert error.status_at(NOW) is ErrorStatus.NEW
    assert error.status_at(NOW + timedelta(days=2)) is ErrorStatus.ONGOING
    assert store.count(error) == {"1": 2, "2": 1}
    assert [one.version for one in store.catalogue.detail(error.id).seen_in] == ["2", "1"]


def test_an_exception_in_a_log_record_is_the_same_error_and_one_trace_counts_once(store: Store) -> None:
    span = a_failing_span(NOW - 5 * MINUTE, stack())
    said = {"exception__type": "KeyError", "exception__stacktrace": stack(), "exception__message": "'sku-1'"}
    logged = a_line(NOW - 5 * MINUTE, "it broke", 17, **said)
    logged.trace_id, logged.span_id = span.trace_id, span.span_id
    store.spans(span)
    store.lines(logged, a_line(NOW - 5 * MINUTE, "it broke", 17, **said))

    store.look()

    assert store.count(store.only()) == {"1": 2}


def test_frames_whose_names_differ_by_a_digit_are_two_errors_and_other_numbers_are_none(store: Store) -> None:
    at = NOW - 5 * MINUTE
    store.spans(
        a_failing_span(at, stack("price_v1", 42) + "\n" + "user17"),
        a_failing_span(at, stack("price_v1", 43) + "\n" + "user18"),
        a_failing_span(at, stack("price_v2", 42) + "\n" + "user19"),
    )
    store.look()

    assert {error.title: store.count(error)["1"] for error in store.found()} == {
        "KeyError in price_v1 (checkout/pricing.py)": 2,
        "KeyError in price_v2 (checkout/pricing.py)": 1,
    }


def test_a_service_that_writes_very_much_hides_no_error_of_its_own_or_of_another(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("onejob.known.reading._MOST_READ", 20)
    at = NOW - 5 * MINUTE
    chatty = Store(store.engine, store.database, f"{store.service}-chatty")
    chatty.lines(*(a_line(at, "took a parcel") for _ in range(200)))
    chatty.lines(a_line(at, "lost a parcel", 17))
    store.lines(*(a_line(at, "no room left", 17) for _ in range(7)), a_line(at, "took a letter"))

    store.look()

    assert {error.title: store.count(error)["1"] for error in store.found()} == {"no room left": 7, "took a letter": 1}
    assert {error.title: store.count(error)["1"] for error in chatty.found()} == {
        "lost a parcel": 1,
        "took a parcel": 20,
    }
    said = [record.getMessage() for record in caplog.records if "more log records" in record.getMessage()]
    assert [one.split()[0] for one in said] == [chatty.service]


def test_a_look_in_which_a_customer_is_forgotten_keeps_nothing_and_the_next_one_reads_it_all_again(
    store: Store,
) -> None:
    store.lines(a_line(NOW - 5 * MINUTE, "no parcel for ada", 17))
    meanwhile = Meanwhile(store.engine)
    meanwhile.act = lambda: nothing_older(store.database, NOW)
    store.engine = meanwhile  # type: ignore[assignment]
    while meanwhile.act is not None:
        with pytest.raises(ForgottenMeanwhileError):
            store.watcher().look(NOW)
    assert store.found() == []

    store.look()

    assert store.only().title == "no parcel for ada"


def test_looking_again_counts_nothing_twice_and_late_spans_once(store: Store) -> None:
    at = NOW - timedelta(seconds=30)
    store.spans(a_failing_span(at, stack()))
    store.look(NOW)
    store.spans(a_failing_span(at, stack()))
    for later in (10, 20, 40):
        store.look(NOW + timedelta(seconds=later))

    error = store.only()
    assert store.count(error) == {"1": 2}
    assert error.last_seen_at == at


def test_log_messages_become_templates_and_a_restart_goes_on_with_them(store: Store) -> None:
    at = NOW - 5 * MINUTE
    for n, name in enumerate(("anna", "bert", "carl")):
        store.lines(a_line(at + timedelta(seconds=n), f"payment {n} of {name} declined", 13))
    store.lines(a_line(at, "cache is warm"))
    store.look()

    declined = store.found(least_severity=13)[0]
    assert declined.title == "payment <*> of <*> declined"
    assert declined.kind is ErrorKind.LOG_TEMPLATE
    assert declined.sample == "payment 0 of anna declined"
    assert store.count(declined) == {"1": 3}
    assert titles(store.found()) == {"payment <*> of <*> declined", "cache is warm"}

    store.lines(a_line(NOW + MINUTE, "payment 17 of dora declined", 13), version="2")
    store.look(NOW + 2 * MINUTE)  # by another `ErrorLook`: nothing is left of the first but what is stored

    assert len(store.found()) == 2
    assert store.count(declined) == {"1": 3, "2": 1}


def test_levels_are_read_from_their_number_or_their_name(store: Store) -> None:
    at = NOW - 5 * MINUTE
    named = a_line(at, "the disk is full", 0)
    named.severity_text = "Error"
    nameless = a_line(at, "it says nothing of itself", 0)
    nameless.severity_text = ""
    thrown = a_line(at, "it broke", 0, exception__type="KeyError", exception__stacktrace=stack())
    store.lines(named, nameless, thrown, a_line(at, "all is well", 9))

    store.look()

    assert {error.title: error.severity for error in store.found()} == {
        "the disk is full": 17, "it says nothing of itself": 0, "KeyError in price (checkout/pricing.py)": 17,
        "all is well": 9,
    }  # fmt: skip


def test_a_look_reads_so_many_lines_at_most_and_warnings_first(store: Store) -> None:
    store.look(NOW + 40 * MINUTE)  # all that other tests have stored: so many lines are read of all services together
    words = [f"{a}{b}{c}" for a in "abcdefgh" for b in "aeiou" for c in "klmnp"]
    store.lines(*(a_line(NOW + 47 * MINUTE, f"{word} {word}x {word}y {word}z") for word in words))
    store.lines(a_line(NOW + 47 * MINUTE, "the disk is nearly full", 13))
    narrow = Store(store.engine, store.database, store.service, log_lines_per_look=100)

    narrow.look(NOW + 50 * MINUTE)

    found = list(narrow.catalogue.page(ErrorFilter(service=store.service), limit=200).page.items)
    assert len(found) == 100
    assert "the disk is nearly full" in titles(found)


def test_templates_of_a_service_are_bounded_and_those_used_last_stay(store: Store) -> None:
    narrow = Store(store.engine, store.database, store.service, log_templates_max=10)
    words = enumerate("abcdefghijklmnopqrstuvwxyz")
    narrow.lines(*(a_line(NOW - 9 * MINUTE + timedelta(seconds=n), f"{w}{w} {w}x {w}y") for n, w in words))
    narrow.look()

    packed = Readings(narrow.database).templates((narrow.service, "production"))
    assert packed is not None
    kept = LogTemplates(10, packed)
    assert len(kept) == 10
    before = [error.fingerprint for error in narrow.found(text="zz")]
    assert [getattr(kept.learn("zz zx zy"), "fingerprint", "")] == before


def test_a_first_look_begins_where_telemetry_does(store: Store) -> None:
    at = NOW - 3 * MINUTE
    store.lines(a_line(at, "the first line"))
    begun = read_begin(store.engine, int((NOW - timedelta(days=1)).timestamp()))
    assert begun is not None
    assert begun <= at
    assert read_begin(store.engine, int((NOW + timedelta(days=300)).timestamp())) is None


def test_two_looks_at_once_store_what_one_does(store: Store) -> None:
    store.spans(*(a_failing_span(NOW - 3 * MINUTE, stack(function)) for function in ("price", "place", "pay")))
    store.lines(a_line(NOW - 3 * MINUTE, "payment 7 declined", 13))
    store.look(NOW - 8 * MINUTE)  # up to here one has looked; what follows is one look each
    looks = [store.watcher() for _ in range(4)]

    def look(looking: ErrorLook) -> bool:
        try:
            looking.look(NOW)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(look, looks))
    assert any(won)
    store.look(NOW)

    errors = store.found()
    assert len(errors) == 4
    assert [store.count(error) for error in errors] == [{"1": 1}] * 4
    assert len(store.errors.seen_in(errors[0].id)) == 1


def test_a_look_that_fails_before_its_end_leaves_nothing_behind_but_counts_and_is_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.spans(a_failing_span(NOW - 3 * MINUTE, stack()))

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(store.errors, "learn", fail)
        with pytest.raises(ZeroDivisionError):
            store.look(NOW)
    assert store.found() == []
    assert Readings(store.database).position("errors") == BEGUN

    store.look(NOW)

    assert store.count(store.only()) == {"1": 1}


def test_a_time_that_the_engine_cannot_read_is_taken_in_smaller_parts_and_then_left_out(store: Store) -> None:
    class Refusing:
        def query(self, *_: Any, **__: Any) -> Any:
            raise QueryFailed("Memory limit exceeded.")

    looking = ErrorLook(
        Refusing(),  # type: ignore[arg-type]
        store.errors,
        Readings(store.database),
        store.watcher()._versions,
        store.settings,
    )
    tries = 0
    while Readings(store.database).position("errors") == BEGUN:
        tries += 1
        with pytest.raises(QueryFailed):
            looking.look(NOW)
    assert tries == 5  # 10, 5, 2.5, 1.25 minutes and one


def test_versions_that_only_differ_by_build_are_called_as_deployments_are(store: Store) -> None:
    known = KnownVersion(
        service=store.service, environment="production", version="main@0123456789ab", builds=("0123456789ab",),
        first_seen_at=NOW, last_seen_at=NOW, rate_per_s=1.0,
    )  # fmt: skip
    KnownVersions(store.database).save([known])
    digest = f"shop@sha256:{'0123456789ab' * 5}0123"
    store.spans(a_failing_span(NOW - 3 * MINUTE, stack()), version="main", container__image__id=digest)

    store.look()

    assert store.only().first_version == "main@0123456789ab"


def test_what_was_not_seen_for_long_is_forgotten(store: Store) -> None:
    store.spans(a_failing_span(NOW - 3 * MINUTE, stack()))
    store.look()
    store.catalogue.resolve(store.only().id, "mo")

    store.watcher().forget(NOW + timedelta(days=399))
    assert len(store.found()) == 1
    store.watcher().forget(NOW + timedelta(days=401))
    assert store.found() == []


def test_names_and_texts_of_strangers_are_stored_as_they_are(store: Store) -> None:
    nasty = "<script>'\"\\; DROP TABLE error_counts -- {x:String} ${y} % NUL\0 é 😀"
    store.spans(a_failing_span(NOW - 3 * MINUTE, stack(), kind=nasty, message=nasty), version="it's 'v\\1'")
    store.lines(a_line(NOW - 3 * MINUTE, nasty, 17))
    store.look()

    error = next(one for one in store.found() if one.kind is ErrorKind.ERROR)
    assert error.message == nasty.replace("\0", "\ufffd")
    assert store.count(error) == {"it's 'v\\1'": 1}
    assert len(store.found()) == 2
