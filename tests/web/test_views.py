"""Views: what the pages say about deployments, verdicts, rollouts and explanations."""

from datetime import timedelta
from typing import Any

import pytest

from onejob.model.deployment import Source, Status
from onejob.model.explanation import SuspectedDeployment
from onejob.model.rollout import Mode, RolloutState
from onejob.model.verdict import Reason, State
from onejob.state.paging import Page
from onejob.store.sessions import Sessions
from onejob.web.pages import deployment, evidence, explained, filters, listing, rollout, series, sure
from onejob.web.pages.evidence import Choice
from onejob.web.pages.sentence import headline_and_rest, set_sentence, short_label

from .builders import (
    NOW,
    QUERY,
    START,
    Lists,
    a_deployment,
    a_record,
    a_rollout,
    a_row,
    a_running_rollout,
    a_signal,
    a_suspect,
    a_verdict,
    an_error_signal,
    an_explanation,
    itself,
    some_history,
)


def _text(parts) -> str:  # type: ignore[no-untyped-def]
    return "".join(part.text for part in parts)


def _page(record, **choice):  # type: ignore[no-untyped-def]
    frame = series.frame(record.deployment, record.verdict, NOW, 1)
    points = Lists().series(record.deployment, "POST /orders", frame.since, frame.until, frame.step_s)
    return deployment.view(record, Choice(**choice), points, frame, 0, NOW)


def test_sessions_without_a_crash_are_told_of_both_versions_with_how_sure_that_is() -> None:
    def sessions(version: str, all_of_them: int, crashed: int) -> Sessions:
        return Sessions(version=version, sessions=all_of_them, errored=0, crashed=crashed, abnormal=0)

    record = a_record()
    frame = series.frame(record.deployment, record.verdict, NOW, 1)

    def told(*found: Sessions) -> list[tuple[str, str]]:
        page = deployment.view(record, Choice(), (), frame, 0, NOW, found)
        return [(fact.value, fact.quiet) for fact in page.facts if fact.label == "Sessions without a crash"]

    assert told(sessions("1.42.0", 1200, 30), sessions("1.41.3", 9000, 9)) == [
        ("97.5 %", "of 1,200 (96.5 % to 98.3 %); before 99.9 % of 9,000 (99.8 % to 100 %)")
    ]
    assert told(sessions("1.42.0", 10, 0)) == [("100 %", "of 10 (69.2 % to 100 %)")]
    assert told(sessions("1.41.3", 9000, 9)) == []


def test_the_heading_counts_todays_deployments_and_says_who_still_serves() -> None:
    rows = [
        a_row(1, "a", "2", "1", State.WORSE, "x", started_at=NOW - timedelta(hours=1), status=Status.ROLLED_BACK),
        a_row(2, "b", "2", "1", State.NO_WORSE, "x", started_at=NOW - timedelta(hours=2), status=Status.FINISHED),
        a_row(3, "c", "2", "1", State.WORSE, "x", started_at=NOW - timedelta(days=3), status=Status.IN_PROGRESS),
    ]
    heading = listing.heading(Lists(rows).marks(filters.wanted(filters.parse({}), NOW), 99), filters.parse({}), NOW)
    assert heading.sentence == (
        "1 of 2 deployments in the last 24 hours made production worse; it no longer serves users."
    )


def test_the_heading_of_a_quiet_day_speaks_of_the_chosen_time() -> None:
    rows = [a_row(3, "c", "2", "1", State.WORSE, "x", started_at=NOW - timedelta(days=3), status=Status.IN_PROGRESS)]
    heading = listing.heading(Lists(rows).marks(filters.wanted(filters.parse({}), NOW), 99), filters.parse({}), NOW)
    assert heading.sentence == ("The only deployment in the last 7 days made production worse; c 2 still serves users.")


def test_a_row_does_not_repeat_service_version_and_verdict() -> None:
    row = listing.row(a_record(), NOW)
    assert _text(row.sentence) == (
        "POST /orders p95 rose 38 % (27 % to 51 %) for tenant.size = large, because 1 of SELECT prices became 41."
    )
    assert row.fate == "rolled back after 1 min 43 s"


def test_a_deployment_without_a_verdict_says_what_it_waits_for() -> None:
    running = a_deployment(status=Status.IN_PROGRESS, finished_at=None, source=Source.DETECTED)
    row = listing.row(a_record(deployment=running, verdict=None, explanation=None, rollout=None), NOW)
    assert row.state_words == "not judged"
    assert row.fate == "seen in telemetry"
    assert "Waiting" in _text(row.sentence)


def test_a_rollback_is_not_called_undecided() -> None:
    back = a_deployment(version="1.41.3", previous_version="1.42.0", rollback_of="dep_x")
    verdict = a_verdict(state=State.UNDECIDED, reason=Reason.NO_CONTROL)
    row = listing.row(a_record(deployment=back, verdict=verdict), NOW)
    assert (row.state, _text(row.sentence)) == ("rollback", "Takes back 1.42.0.")


def test_the_list_can_be_sorted_and_links_keep_the_filters() -> None:
    query = filters.parse({"service": "checkout", "sort": "verdict"})
    page = Page(tuple(some_history()[:5]), None)
    view = listing.view(query, page, [], Lists(some_history()).choices(), NOW)
    assert [row.state for row in view.rows] == ["worse", "worse", "undecided", "no_worse", "better"]
    assert view.heads["verdict"].direction == "ascending"
    assert view.heads["verdict"].url == "/deployments?service=checkout&sort=-verdict"


def test_a_filter_that_makes_no_sense_is_reported_and_ignored() -> None:
    query = filters.parse({"verdict": "terrible", "range": "9y", "since": "yesterday"})
    assert (query.verdict, query.range, query.since) == ("", "7d", None)
    assert len(query.problems) == 3


def test_times_in_the_address_win_over_the_named_range() -> None:
    query = filters.parse({"since": "2026-11-24T10:00:00Z", "range": "1h"})
    assert filters.period(query, NOW) == (START.replace(hour=10, minute=0), None)


def test_the_headline_is_the_claim_and_the_rest_goes_under_it() -> None:
    page = _page(a_record())
    assert _text(page.headline) == (
        "checkout 1.42.0 is worse: POST /orders p95 rose 38 % (27 % to 51 %) for tenant.size = large, "
        "because 1 of SELECT prices became 41."
    )
    assert _text(page.under) == (
        "first visible 1 min 2 s after the first request · known 1 min 40 s after it · rolled back 3 s after the "
        "verdict · undecided: its error rate (about 6 minutes more)"
    )
    assert [part.kind for part in page.headline if part.text.startswith("(")] == ["quiet"]


def test_a_semicolon_in_brackets_does_not_end_the_headline() -> None:
    assert headline_and_rest("a (b; c); d.") == ("a (b; c)", "d")


def test_statements_are_named_by_their_verb_and_table() -> None:
    assert short_label(QUERY) == "SELECT prices"
    assert short_label("insert into orders (a) values (?)") == "INSERT orders"
    assert short_label("GET /prices") == "GET /prices"


def test_names_with_brackets_are_code_and_other_brackets_are_quiet() -> None:
    parts = set_sentence("GET /a(b) rose (a little)", {"GET /a(b)": "GET /a(b)"})
    assert [(part.kind, part.text) for part in parts if part.kind != "text"] == [
        ("code", "GET /a(b)"),
        ("quiet", "(a little)"),
    ]


def test_only_links_of_the_web_are_followed() -> None:
    assert deployment.safe_url("https://ci.example/1") == "https://ci.example/1"
    assert deployment.safe_url("javascript:alert(1)") == ""
    assert deployment.safe_url("http://[") == ""
    assert deployment.safe_url(None) == ""


def test_evidence_is_worst_first_and_the_selected_row_is_always_shown() -> None:
    many = tuple(a_signal(operation=f"GET /{n}", state=State.NO_WORSE) for n in range(40))
    verdict = a_verdict(signals=(*many, a_signal(), an_error_signal()))
    shown = evidence.view(verdict, Choice(operation="GET /39", signal="latency_p95"))
    assert [row.state for row in shown.rows[:3]] == ["worse", "undecided", "no_worse"]
    assert [row.operation for row in shown.rows if row.is_selected] == ["GET /39"]
    assert len(shown.rows) == 13
    assert len(evidence.view(verdict, Choice(all_rows=True)).rows) == 42


@pytest.mark.parametrize("column", ["verdict", "operation", "signal", "control", "new", "effect"])
def test_evidence_sorts_by_every_column_with_unknown_values(column: str) -> None:
    empty = a_signal(operation="a", control=None, treatment=None, effect=None, low=None, high=None)
    verdict = a_verdict(signals=(empty, a_signal(), an_error_signal()))
    forward = evidence.view(verdict, Choice(sort=column)).rows
    assert len(forward) == len(evidence.view(verdict, Choice(sort=f"-{column}")).rows) == 3


def test_a_rolled_back_rollout_shows_where_it_stopped() -> None:
    bar = rollout.view(a_rollout(), a_deployment(), a_verdict(), NOW)
    assert [(one.title, one.detail, one.look) for one in bar.segments] == [
        ("10 %", "1 min", "done"),
        ("50 %", "43 s", "bad"),
        ("100 %", "not reached", "skip"),
        ("Rolled back", "14:03:43, all traffic on 1.41.3", "end"),
    ]
    assert bar.commands == ()


def test_a_running_rollout_offers_what_fits_its_state() -> None:
    at = START + timedelta(seconds=20)
    bar = rollout.view(a_running_rollout(), a_deployment(), None, at)
    assert (bar.segments[0].detail, bar.segments[0].look) == ("20 s of 1 min", "now")
    assert bar.commands == ("promote", "hold", "abort")
    paused = rollout.view(a_running_rollout(state=RolloutState.PAUSED), a_deployment(), None, at)
    assert paused.commands == ("promote", "resume", "abort")


def test_the_question_before_a_promotion_says_which_share_it_leads_to() -> None:
    def told(**changes: Any) -> str:
        running = a_running_rollout(**changes)
        return rollout.view(running, a_deployment(), None, START + timedelta(seconds=20)).promotes_to

    assert told() == "gets 50 % of the traffic now"
    assert told(state=RolloutState.PAUSED, share=0.0) == "gets 10 % of the traffic now", "that is what it asks for"
    assert told(step=2, share=1.0) == "keeps its traffic, and the rollout ends"


def test_a_rollout_that_only_observes_says_so() -> None:
    plan = a_running_rollout().plan
    observing = a_running_rollout(plan=type(plan)(driver="envoy", settings={}, steps=plan.steps, mode=Mode.OBSERVE))
    assert "only records" in rollout.view(observing, a_deployment(), None, NOW).mode


def test_the_call_tree_keeps_callers_above_what_they_call() -> None:
    rows = explained.call_rows(an_explanation().calls)
    assert [(row.label, row.depth) for row in rows[:3]] == [
        ("POST /orders", 0),
        ("price_lines", 1),
        ("SELECT prices", 2),
    ]
    cause = next(row for row in rows if row.is_cause)
    assert (cause.change, cause.remark, cause.added) == ("1 → 41 calls", "each as fast", "+148 ms")


def test_traces_can_be_paged_through() -> None:
    view = explained.view(an_explanation(), 1)
    assert [is_open for _, _, is_open in view.other_pairs] == [False, True]
    assert view.treatment_trace is not None
    assert view.treatment_trace.id.startswith("7b02")


def test_of_deployments_that_overlap_the_one_that_fits_is_first_and_leads_to_its_page() -> None:
    view = explained.view(an_explanation(suspects=(a_suspect(), itself())), 0).suspects
    assert view is not None
    assert view.answer == "payments 1.8 fits better"
    first, second = view.rows
    assert (first.name, first.url, first.probability) == ("payments 1.8", "/deployments/dep_payments18", "over 99 %")
    assert first.reasons.endswith("the 9,800 others; checkout calls it")
    assert (second.name, second.url, second.probability) == ("checkout 1.42.0", "", "under 1 %")


@pytest.mark.parametrize(
    ("suspects", "answer"),
    [
        ((itself(posterior=0.98), a_suspect(posterior=0.02)), "this one fits best"),
        ((itself(posterior=0.99), a_suspect()), "checkout 1.42.0 and payments 1.8 did damage, each by itself"),
        (
            (itself(posterior=0.55, separable=False), a_suspect(posterior=0.4, separable=False)),
            "not separable: the evidence fits more than one of them",
        ),
        ((itself(posterior=0.3), a_suspect(posterior=0.01)), "none of them fits well"),
        (
            (itself(posterior=0.1, separable=False), a_suspect(posterior=0.05, separable=False)),
            "none of them fits well",
        ),
    ],
)
def test_the_answer_on_overlaps_says_no_more_than_the_evidence(
    suspects: tuple[SuspectedDeployment, ...], answer: str
) -> None:
    view = explained.view(an_explanation(suspects=suspects), 0).suspects
    assert view is not None
    assert view.answer == answer
    assert [row.remark for row in view.rows] == ["" if one.separable else "not separable" for one in suspects]


def test_without_rivals_nothing_is_said_of_other_deployments() -> None:
    assert explained.view(an_explanation(), 0).suspects is None


def test_charts_take_the_verdicts_window_and_some_time_around_it() -> None:
    frame = series.frame(a_deployment(), a_verdict(), NOW, 1)
    assert frame.since <= START.timestamp() - 90
    assert frame.until >= START.timestamp() + 120
    assert (frame.until - frame.since) / frame.step_s <= 62


def test_values_over_time_are_those_of_the_selected_signal() -> None:
    record = a_record()
    latency = _page(record).charts
    errors = _page(record, operation="POST /orders", signal="errors").charts
    assert latency is not None
    assert errors is not None
    assert latency.table[0].control.endswith("ms")
    assert errors.table[0].control.endswith("%")
    assert (latency.state, errors.state) == ("worse", "undecided")


def test_odds_of_any_size_can_be_read() -> None:
    assert sure.odds(10.78) == "48,000 : 1"
    assert sure.odds(-3.0) == "1 : 20"
    assert sure.odds(500.0) == "10^217 : 1"


def test_how_sure_answers_every_question_of_a_doubter() -> None:
    facts = {fact.question: fact.answer for fact in sure.view(a_verdict(), a_signal()).facts}
    assert "1.41.3, which served at the same time" in facts["Compared with"]
    assert "9,412 of 1.41.3 on 3 instances and 2,106 of 1.42.0 on 1 instance" in facts["Requests"]
    assert "phi 1.41" in facts["Noise"]
    assert "1.48" in facts["Instances"]


def test_a_deployment_without_control_says_how_to_get_one() -> None:
    verdict = a_verdict(state=State.UNDECIDED, reason=Reason.NO_CONTROL, signals=(), control=None, treatment=None)
    page = _page(a_record(verdict=verdict, explanation=None))
    assert page.evidence is None
    assert page.charts is None
    assert any("canary" in line for line in page.waiting)


def test_a_row_says_by_what_it_was_decided() -> None:
    """Evidence and interval are two tests: a sure rise may have an interval that still holds "same"."""
    sized = a_signal()
    crossing = a_signal(operation="GET /cart", low=0.95, high=1.9)
    rows = {row.operation: row for row in evidence.view(a_verdict(signals=(sized, crossing)), Choice()).rows}
    assert rows["POST /orders"].comment == "beyond tolerance"
    assert rows["GET /cart"].comment == "risen, size still open"
    assert rows["GET /cart"].title.startswith(
        "decided by its evidence; this interval, from a wider test, is still open"
    )
    for signal, words in ((sized, "all of it lies beyond"), (crossing, "from a wider test, still reaches “same”")):
        facts = {fact.question: fact.answer for fact in sure.view(a_verdict(), signal).facts}
        assert words in facts["Decided by"]
