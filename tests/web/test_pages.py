"""The pages over HTTP: what is served, what is refused, and that strangers' text stays text."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from onejob.model.explanation import CauseKind
from onejob.model.rollout import RolloutState
from onejob.model.verdict import State

from .builders import (
    Lists,
    a_deployment,
    a_record,
    a_running_rollout,
    a_service_at_fault,
    a_signal,
    a_suspect,
    a_trace,
    a_verdict,
    an_explanation,
    an_undecided_record,
    itself,
    some_history,
)

NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x00\u202e{{7*7}}"
Site = Callable[[Lists], str]
HTML = {"accept": "text/html"}


def _nasty_record():  # type: ignore[no-untyped-def]
    """Every text that comes from outside is an attack."""
    explanation = an_explanation()
    attribute = replace(explanation.attributes[0], name=NASTY, value=NASTY, operation=NASTY)
    call = replace(explanation.calls[2], path=("POST /orders", NASTY), service=NASTY)
    trace = a_trace("treatment")
    spans = tuple(replace(span, label=NASTY, path=("POST /orders", NASTY), service=NASTY) for span in trace.spans)
    nasty = replace(
        explanation,
        services=(a_service_at_fault(service=NASTY),),
        attributes=(attribute,),
        calls=(call,),
        traces=(replace(trace, spans=spans),),
        notes=(NASTY,),
        suspects=(a_suspect(deployment_id=NASTY, service=NASTY, version=NASTY, reasons=(NASTY,)), itself()),
    )
    deployment = a_deployment(
        id="dep_nasty",
        service=NASTY,
        version=NASTY,
        previous_version=NASTY,
        environment=NASTY,
        actor=NASTY,
        url="javascript:alert(3)",
        notes=(NASTY,),
    )
    signals = (a_signal(operation=NASTY),)
    sentence = f"{NASTY} {NASTY} is worse: {NASTY} p95 rose"
    verdict = a_verdict(deployment_id="dep_nasty", signals=signals, sentence=sentence, left_out=(NASTY,))
    return a_record(deployment=deployment, verdict=verdict, explanation=nasty)


@pytest.mark.parametrize("path", ["/", "/deployments", "/deployments/dep_checkout1420"])
def test_pages_are_small_and_their_answers_are_guarded(site: Site, path: str) -> None:
    answer = httpx.get(site(Lists(some_history())) + path)
    assert answer.status_code == 200
    assert len(answer.content) < 60_000
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_largest_deployment_page_stays_within_its_budget(site: Site) -> None:
    signals = tuple(
        a_signal(operation=f"GET /a/rather/long/operation/name/{n}", signal=signal)
        for n in range(51)
        for signal in ("errors", "latency_p50", "latency_p95", "latency_p99")
    )
    record = a_record(verdict=a_verdict(signals=signals))
    base = site(Lists([record]))
    assert len(httpx.get(f"{base}/deployments/dep_checkout1420").content) < 60_000


def test_no_page_has_inline_scripts_styles_or_addresses_of_others(site: Site) -> None:
    base = site(Lists(some_history()))
    for path in ("/", "/deployments/dep_checkout1420", "/deployments/nothing"):
        html = httpx.get(base + path, headers=HTML).text
        assert not re.search(r"<script(?![^>]+src=\"/static/)", html)
        assert not re.search(r"<style|\sstyle=|\son\w+=", html)
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", html)


def test_scripts_are_within_their_budget(site: Site) -> None:
    base = site(Lists())
    files = ("onejob", "controls", "keys", "live")
    assert sum(len(httpx.get(f"{base}/static/{name}.js").content) for name in files) < 120_000


@pytest.mark.parametrize("path", ["/", "/deployments/dep_nasty", "/deployments/dep_nasty?trace=0&all=1"])
def test_what_strangers_wrote_is_never_markup(site: Site, path: str) -> None:
    html = httpx.get(site(Lists([_nasty_record()])) + path).text
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "\x00" not in html
    assert "\u202e" not in html
    assert "javascript:" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "It arises in checkout (94 %, +148 ms of calls it makes more often)."),
        ({"kind": CauseKind.SLOW}, "It arises in checkout (94 %, +9 ms of its own work)."),
        ({"kind": CauseKind.NETWORK, "way_s": 0.02}, "It arises in checkout (94 %, +20 ms on the way to or from it)."),
        ({"kind": CauseKind.ERRORS, "failures": 0.5}, "It arises in checkout (94 %, 50 % of the requests fail there)."),
    ],
)
def test_the_service_is_named_in_which_the_damage_arises(site: Site, changes: dict[str, Any], said: str) -> None:
    record = a_record(explanation=an_explanation(services=(a_service_at_fault(**changes),)))
    assert said in httpx.get(site(Lists([record])) + "/deployments/dep_checkout1420").text
    nobody = a_record(explanation=an_explanation(services=()))
    assert "It arises in" not in httpx.get(site(Lists([nobody])) + "/deployments/dep_checkout1420").text


def test_deployments_that_overlap_have_a_section_with_links_and_reasons(site: Site) -> None:
    record = a_record(explanation=an_explanation(suspects=(a_suspect(), itself())))
    html = httpx.get(site(Lists([record])) + "/deployments/dep_checkout1420").text
    section = html.partition('<section id="suspects">')[2].partition("</section>")[0]
    assert "Which deployment <small>payments 1.8 fits better</small>" in section
    assert '<a href="/deployments/dep_payments18">payments 1.8</a>' in section
    assert "31 % of 1,204 requests through it took over 412 ms" in section
    assert "this one" in section
    assert section.index("payments 1.8</a>") < section.index("checkout 1.42.0")


def test_without_overlaps_there_is_no_such_section(site: Site) -> None:
    html = httpx.get(site(Lists([a_record()])) + "/deployments/dep_checkout1420").text
    assert "Which deployment" not in html


def test_a_strange_address_is_answered_with_a_page_that_leads_back(site: Site) -> None:
    base = site(Lists(some_history()))
    for path in ("/deployments/nothing", "/nowhere", "/deployments/%00%3Cscript%3E"):
        answer = httpx.get(base + path, headers=HTML)
        assert answer.status_code == 404
        assert "/deployments" in answer.text
    assert httpx.get(f"{base}/nowhere").headers["content-type"] == "application/problem+json"


def test_filters_are_part_of_the_address_and_stay_in_the_form(site: Site) -> None:
    html = httpx.get(site(Lists(some_history())), params={"service": "payments", "verdict": "no_worse"}).text
    assert '<option selected value="payments">' in html
    assert '<option value="no_worse" selected>' in html
    assert len(re.findall(r"<tr id=", html)) > 1
    assert "<b>checkout</b>" not in html


def test_a_filter_that_finds_nothing_says_how_to_find_more(site: Site) -> None:
    html = httpx.get(site(Lists(some_history())), params={"text": "nothing like it"}).text
    assert "Remove the filters" in html


def test_older_deployments_are_on_the_next_page(site: Site) -> None:
    base = site(Lists(some_history()))
    first = httpx.get(base).text
    older = re.search(r'href="([^"]+)" rel="next"', first)
    assert older
    second = httpx.get(base + older[1].replace("&amp;", "&")).text
    ids = [set(re.findall(r'<tr id="([^"]+)"', html)) for html in (first, second)]
    assert len(ids[0]) == 25
    assert not ids[0] & ids[1]


def test_the_list_and_the_evidence_can_be_taken_along_as_csv(site: Site) -> None:
    formula = a_record(deployment=a_deployment(id="dep_f", service="=cmd()", actor="@me"), verdict=None)
    base = site(Lists([formula, *some_history()]))
    rows = list(csv.DictReader(io.StringIO(httpx.get(f"{base}/deployments.csv").text)))
    assert len(rows) > 40
    by_id = {row["id"]: row for row in rows}
    assert by_id["dep_checkout1420"]["verdict"] == "worse"
    assert by_id["dep_f"]["service"] == "'=cmd()"
    text = httpx.get(f"{base}/deployments/dep_checkout1420/evidence.csv").text
    signals = list(csv.DictReader(io.StringIO(text)))
    assert signals[0]["low"] == "1.27"


def test_the_sparkline_is_a_file_of_its_own(site: Site) -> None:
    answer = httpx.get(site(Lists(some_history())) + "/deployments/dep_checkout1420/spark.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.text.count("<path") == 2


@pytest.mark.parametrize("command", ["promote", "hold", "abort"])
def test_a_rollout_is_commanded_by_a_form(site: Site, command: str) -> None:
    data = Lists([an_undecided_record()])
    base = site(data)
    answer = httpx.post(f"{base}/deployments/dep_checkout1420/rollout/{command}", headers={"origin": base})
    assert answer.status_code == 303
    assert data.commands == [("rol_1", command)]


def test_a_step_whose_hold_is_over_says_what_the_next_one_waits_for(site: Site) -> None:
    record = an_undecided_record()
    assert record.verdict is not None
    (errors,) = record.verdict.signals
    wide = replace(record, verdict=replace(record.verdict, signals=(replace(errors, high=0.5),)))
    page = httpx.get(site(Lists([wide])) + "/deployments/dep_checkout1420").text
    assert "The hold is over; what the next step waits for: " in page
    assert "what the next step waits for" not in httpx.get(site(Lists([record])) + "/deployments/dep_checkout1420").text


def test_an_abort_whose_router_does_nothing_is_ended_by_a_form(site: Site) -> None:
    record = an_undecided_record()
    assert record.rollout is not None
    stuck = replace(record.rollout, state=RolloutState.ABORTING, trouble="Envoy does not answer")
    data = Lists([replace(record, rollout=stuck)])
    base = site(data)
    address = "/deployments/dep_checkout1420/rollout/abort?router_is_gone=true"
    page = httpx.get(f"{base}/deployments/dep_checkout1420").text
    assert "the router does not do it yet" in page
    assert f'action="{address}"' in page
    answer = httpx.post(base + address, headers={"origin": base})
    assert data.commands == [("rol_1", "abort, the router is gone")]
    assert "Ended without waiting for its router" in httpx.get(base + answer.headers["location"]).text

    given_up = replace(stuck, state=RolloutState.ABORTED, share=0.1, router_is_gone=True)
    page = httpx.get(site(Lists([replace(record, rollout=given_up)])) + "/deployments/dep_checkout1420").text
    assert "Router given up" in page
    assert "not confirmed; last known share 10 %" in page
    assert "router_is_gone=true" not in page


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"origin": "http://["}],
)
def test_other_sites_cannot_command_anything(site: Site, headers: dict[str, str]) -> None:
    data = Lists([an_undecided_record()])
    base = site(data)
    for path in ("/deployments/dep_checkout1420/rollout/abort", "/deployments/dep_checkout1420/recompute", "/theme"):
        answer = httpx.post(base + path, headers=headers)
        assert answer.status_code == 403
        assert answer.headers["x-frame-options"] == "DENY"
    assert data.commands == []


def test_a_refused_command_says_why(site: Site) -> None:
    data = Lists([an_undecided_record()])
    data.refusal = "It is promoted already."
    answer = httpx.post(site(data) + "/deployments/dep_checkout1420/rollout/abort")
    assert answer.status_code == 409
    assert "It is promoted already." in answer.text


def test_a_deployment_without_rollout_has_no_buttons(site: Site) -> None:
    base = site(Lists([a_record(rollout=None)]))
    assert "/rollout/" not in httpx.get(f"{base}/deployments/dep_checkout1420").text
    assert httpx.post(f"{base}/deployments/dep_checkout1420/rollout/abort").status_code == 404


@pytest.mark.parametrize(("is_same", "words"), [(True, "the verdict is the same"), (False, "differs")])
def test_a_verdict_can_be_recomputed(site: Site, is_same: bool, words: str) -> None:
    data = Lists([a_record()])
    data.is_same = is_same
    answer = httpx.post(site(data) + "/deployments/dep_checkout1420/recompute", follow_redirects=True)
    assert words in answer.text


def test_the_theme_goes_around_without_script(site: Site) -> None:
    base = site(Lists())
    with httpx.Client(follow_redirects=True) as client:
        themes = []
        for _ in range(3):
            html = client.post(f"{base}/theme?back=/deployments").text
            found = re.search(r'data-theme="(\w+)"', html)
            themes.append(found[1] if found else "automatic")
        assert themes == ["dark", "light", "automatic"]
        assert client.post(f"{base}/theme?back=//evil.example", follow_redirects=False).headers["location"] == "/"


def test_an_empty_server_teaches_every_language(site: Site) -> None:
    base = site(Lists())
    for language, words in {
        "python": "opentelemetry-instrument",
        "javascript": "auto-instrumentations-node",
        "java": "opentelemetry-javaagent.jar",
        "go": "otlptracehttp.New",
        "collector": "exporters: [otlp_http/onejob]",
        "access-log": "onejob tail",
        "sentry": "http://public@127.0.0.1:4318/1",
        "prometheus": "http://127.0.0.1:4318/api/v1/write",
        "loki": "http://127.0.0.1:4318/loki/api/v1/push",
        "browser": "http://127.0.0.1:4318/rum.js",
        "klingon": "opentelemetry-instrument",
    }.items():
        html = httpx.get(base, params={"language": language}).text
        assert words in html
        assert "127.0.0.1:4318" in html
        page = re.search("<code>(docs/[a-z-]+[.]md)</code>", html)
        assert page
        assert (Path(__file__).parents[2] / page[1]).is_file()


def test_a_server_with_traces_teaches_how_to_report_a_deployment(site: Site) -> None:
    html = httpx.get(site(Lists(spans=12345, services=["search"]))).text
    assert "12,345" in html
    assert "onejob deployment start search 1.0.1" in html


def test_a_services_name_cannot_smuggle_commands_into_a_snippet(site: Site) -> None:
    html = httpx.get(site(Lists(spans=1, services=["x'; rm -rf / #"]))).text
    assert "deployment start checkout" in html


@pytest.mark.parametrize("state", [*State, None])
def test_every_state_of_a_deployment_has_a_page(site: Site, state: State | None) -> None:
    verdict = a_verdict(state=state) if state else None
    bare = a_verdict(state=state, signals=(), control=None, treatment=None, sentence="") if state else None
    for one in (verdict, bare):
        for rollout in (None, a_running_rollout()):
            record = a_record(verdict=one, explanation=None, rollout=rollout)
            answer = httpx.get(site(Lists([record])) + "/deployments/dep_checkout1420")
            assert answer.status_code == 200


def test_the_stream_says_what_changed_and_how_much_arrived(site: Site) -> None:
    data = Lists(some_history(), spans=7, services=["search"])
    base = site(data)
    told: list[tuple[str, dict[str, object]]] = []
    with httpx.stream("GET", f"{base}/events?telemetry=1", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event = ""
        for line in answer.iter_lines():
            if line.startswith("retry"):
                data.events.publish("dep_0003")
            elif line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told.append((event, json.loads(line.removeprefix("data: "))))
            if len({name for name, _ in told}) == 2:
                break
    facts = dict(told)
    assert facts["telemetry"] == {"spans": 7, "services": ["search"]}
    assert facts.get("deployment", {}).get("id", "dep_0003") == "dep_0003"
