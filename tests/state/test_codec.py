"""Model objects survive being written and read."""

import json
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.model.evidence import EvidenceBatch, JudgeSettings, Vital
from onejob.model.explanation import (
    AttributeValue,
    CallChange,
    CallKind,
    CarryingOperation,
    ExemplarTrace,
    Explanation,
    Relation,
    SuspectedDeployment,
    TraceSpan,
)
from onejob.model.kpi import Tolerance
from onejob.model.rollout import Rollout
from onejob.model.verdict import SignalResult, Verdict
from onejob.state.codec import from_plain, iso, pack, to_plain, unpack
from onejob.state.ids import is_id, new_id
from state.builders import (
    NOW,
    a_batch,
    a_cell,
    a_kpi,
    a_novelty_cell,
    a_rollout,
    a_router_count,
    a_signal,
    a_value_cell,
    a_verdict,
    an_explanation,
)

MOMENTS = st.datetimes(timezones=st.just(UTC))
OF_DEPLOYMENTS = st.datetimes(datetime(1970, 1, 2), datetime(3000, 1, 1), timezones=st.just(UTC))


def an_explanation_of_everything() -> Explanation:
    """One of each part."""
    operation = CarryingOperation(operation="GET /", signal="errors", share=0.5, effect=None)
    value = AttributeValue(
        operation="GET /",
        signal="errors",
        name="tenant.size",
        value="</script>\x00\"'",
        lift=3.5,
        coverage=1.0,
        rest_share=0.1,
        bad=10,
        total=20,
    )
    call = CallChange(
        path=("GET /", "SELECT"),
        service="shop",
        kind=CallKind.MORE,
        added_s=0.04,
        calls_control=1.0,
        calls_treatment=41.0,
        each_control_s=0.001,
        each_treatment_s=0.001,
        is_cause=True,
    )
    span = TraceSpan(
        span_id="a",
        parent_span_id="",
        label="GET /",
        path=("GET /",),
        service="shop",
        kind="server",
        offset_s=0.0,
        duration_s=0.1,
        is_error=False,
    )
    trace = ExemplarTrace(arm="control", trace_id="t", started_at=NOW, duration_s=0.1, is_error=False, spans=(span,))
    suspect = SuspectedDeployment(
        deployment_id="dep_2",
        service="payments",
        version="1.8",
        relation=Relation.CALLED,
        steps=1,
        began_at=NOW,
        posterior=0.5,
        separable=False,
        reasons=("checkout calls it",),
    )
    return an_explanation(
        "dep_1",
        operations=(operation,),
        attributes=(value,),
        calls=(call,),
        traces=(trace,),
        notes=("Note.",),
        suspects=(suspect,),
    )


@pytest.mark.parametrize(
    "value",
    [
        a_verdict("dep_1"),
        a_rollout("dep_1"),
        an_explanation_of_everything(),
        a_batch("dep_1", router=(a_router_count(),)),
    ],
    ids=["verdict", "rollout", "explanation", "batch"],
)
def test_every_document_is_read_as_it_was_written(value: Verdict | Rollout | Explanation | EvidenceBatch) -> None:
    assert unpack(type(value), pack(value)) == value
    assert from_plain(type(value), json.loads(json.dumps(to_plain(value), allow_nan=False))) == value


@given(st.floats(allow_nan=False), MOMENTS)
def test_numbers_and_moments_are_kept_exactly(number: float, moment: datetime) -> None:
    signal = a_signal(effect=number, first_visible_at=moment)
    assert unpack(SignalResult, pack(signal)) == signal


def test_an_older_document_takes_the_defaults_of_new_fields_and_a_newer_ones_are_ignored() -> None:
    plain = to_plain(a_signal(first_visible_at=NOW))
    assert isinstance(plain, dict)
    del plain["first_visible_at"]
    assert from_plain(SignalResult, plain | {"invented_later": 1}) == a_signal()


def test_a_document_that_lacks_something_says_what() -> None:
    with pytest.raises(ValueError, match="SignalResult lacks control, signal"):
        from_plain(SignalResult, {"operation": "x"} | _without(to_plain(a_signal()), "control", "signal"))


def test_what_is_no_model_object_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        to_plain({1, 2})


def test_moments_end_in_z() -> None:
    assert iso(NOW) == "2026-03-01T12:00:00.123456Z"


@given(OF_DEPLOYMENTS, OF_DEPLOYMENTS)
def test_ids_sort_by_time(one: datetime, other: datetime) -> None:
    first, second = new_id("dep", one), new_id("dep", other)
    if int(one.timestamp() * 1000) < int(other.timestamp() * 1000):
        assert first < second
    assert is_id(first, "dep")
    assert not is_id(first, "rol")


def test_cells_without_buckets_and_with_strange_labels_are_kept() -> None:
    batch = a_batch("dep_1", cells=(a_cell(operation="\x00<\ud800>", buckets={}), a_cell(buckets={2**20: 2**40})))
    from onejob.state.counts import pack_counts, unpack_counts

    assert unpack_counts(pack_counts(batch))["cells"] == batch.cells


def test_what_spans_said_beyond_requests_is_kept() -> None:
    from onejob.state.counts import pack_counts, unpack_counts

    batch = a_batch(
        "dep_1",
        values=(a_value_cell(), a_value_cell(counts={0: 3}, sums={})),
        vitals=(Vital(name="lcp", cells=(a_cell(), a_cell(operation="/cart"))),),
        novelties=(a_novelty_cell(), a_novelty_cell(title="\x00<\ud800>", is_known=True)),
        settings=JudgeSettings(kpis=(a_kpi(),), tolerances=(Tolerance(signal="errors", tolerance=0.01),)),
    )
    unpacked = unpack_counts(pack_counts(batch))
    assert {name: getattr(batch, name) for name in unpacked} == unpacked
    assert unpack(EvidenceBatch, pack(batch)) == batch


def test_a_batch_that_an_older_version_stored_has_nothing_beyond_requests() -> None:
    from onejob.state.counts import unpack_counts

    cell = [0, 1, 2, 3, 1000, 10, 1, 0.5, 0.1, 0, [-100, 7]]
    settings = {"alpha": 0.01, "tolerance_errors": 0.001, "max_operations": 200}
    document = {"labels": ["GET /", "2", "", "pod-1"], "cells": [cell], "router": [], "warmed": [], "share": None}
    unpacked = unpack_counts(zlib.compress(json.dumps(document | {"settings": settings}).encode()))
    assert [c.operation for c in unpacked["cells"]] == ["GET /"]
    assert (unpacked["values"], unpacked["vitals"], unpacked["novelties"]) == ((), (), ())
    assert unpacked["settings"] == JudgeSettings()


def _without(plain: object, *names: str) -> dict[str, object]:
    assert isinstance(plain, dict)
    return {name: value for name, value in plain.items() if name not in names}
