"""The audit log: everything that acts is in it, and whatever is done to it afterwards is found."""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.jira_events import an_event
from known.builders import an_occurrence, see
from onejob.access.secrets import hash_of
from onejob.model.access import Role
from onejob.model.audit import START, AuditEntry, BrokenChainError, Head, digest, follow, read_head
from onejob.model.rollout import RolloutState
from onejob.state.audit import Audit
from onejob.state.database import Database
from onejob.state.errors import StateUnavailableError
from onejob.web.rules import RULES

from .site import PASSWORD, Program, Site

SECOND_FACTOR = "/account/second-factor"
HOOK_SECRET = "several words that sign"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TEXT = st.text(max_size=10)
SAID = st.fixed_dictionaries(
    {"actor": TEXT, "action": TEXT, "object": TEXT, "source": TEXT, "detail": TEXT, "at": st.datetimes(
        min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
    )}
)  # fmt: skip


def a_chain(said: list[dict[str, Any]]) -> list[AuditEntry]:
    entries, head = [], START
    for one in said:
        row = one | {"seq": head.seq + 1, "previous": head.hash}
        entries.append(AuditEntry(**row, hash=digest(**row)))
        head = Head(entries[-1].seq, entries[-1].hash)
    return entries


CHAINS = st.lists(SAID, min_size=1, max_size=5).map(a_chain)
FEWER = settings(max_examples=50)  # each makes up to thirty texts


@FEWER
@given(CHAINS)
def test_a_log_that_nobody_touched_is_whole(entries: list[AuditEntry]) -> None:
    head = follow(entries)
    assert head == Head(len(entries), entries[-1].hash)
    assert follow(entries, head) == head
    assert read_head(str(head)) == head
    for entry in entries:
        assert follow(entries, Head(entry.seq, entry.hash)) == head, "each head that ever was is still in it"


@FEWER
@given(CHAINS, st.data())
def test_any_change_of_any_field_is_found(entries: list[AuditEntry], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(st.sampled_from(AuditEntry.__slots__))
    old: Any = getattr(entries[at], field)
    if isinstance(old, datetime):
        new = old + timedelta(microseconds=data.draw(st.integers(1, 10**9)))
    elif isinstance(old, int):
        new = data.draw(st.integers(0, 20).filter(lambda number: number != old))
    else:
        new = data.draw(TEXT.filter(lambda text: text != old))
    entries[at] = replace(entries[at], **{field: new})
    with pytest.raises(BrokenChainError):
        follow(entries)


@FEWER
@given(CHAINS, st.data())
def test_an_entry_that_is_taken_out_is_missed(entries: list[AuditEntry], data: st.DataObject) -> None:
    head = follow(entries)
    del entries[data.draw(st.integers(0, len(entries) - 1))]
    with pytest.raises(BrokenChainError):
        follow(entries, head)


@FEWER
@given(CHAINS, st.randoms(use_true_random=False))
def test_another_order_is_found(entries: list[AuditEntry], random: Any) -> None:
    shuffled = random.sample(entries, len(entries))
    if shuffled == entries:
        assert follow(shuffled) == follow(entries)
        return
    with pytest.raises(BrokenChainError):
        follow(shuffled)


@FEWER
@given(CHAINS, st.data())
def test_a_log_that_was_rewritten_or_cut_off_is_not_the_one_whose_head_was_kept(
    entries: list[AuditEntry], data: st.DataObject
) -> None:
    head = follow(entries)
    kept = data.draw(st.integers(0, len(entries) - 1))
    assert follow(entries[:kept]), "by itself it looks whole"
    with pytest.raises(BrokenChainError, match="its end was cut off"):
        follow(entries[:kept], head)
    said = [
        {name: getattr(entry, name) for name in ("at", "actor", "action", "object", "source", "detail")}
        for entry in entries
    ]
    said[kept]["actor"] += "!"
    with pytest.raises(BrokenChainError, match="was rewritten"):
        follow(a_chain(said), head)


@pytest.mark.parametrize("text", ["", "12", "12:", "x:" + "0" * 64, "1:" + "g" * 64, "-1:" + "0" * 64])
def test_what_is_no_head_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError, match="a head looks like"):
        read_head(text)


def test_the_form_of_an_entry_is_fixed_for_good() -> None:
    """Written out by hand: should this change, every log that was ever written would look broken."""
    said = {"actor": "ada", "action": "login", "object": "ada", "source": "10.0.0.9", "detail": "é"}
    assert START.hash == hashlib.sha256(b"onejob audit log, version 1").hexdigest()
    text = f'[1,"2026-03-01T12:00:00.123456+00:00","ada","login","ada","10.0.0.9","\\u00e9","{START.hash}"]'
    assert digest(seq=1, at=NOW, previous=START.hash, **said) == hashlib.sha256(text.encode()).hexdigest()


def test_entries_come_back_as_they_were_written_on_both_databases(state_database: Database) -> None:
    audit = Audit(state_database)
    for number in range(5):
        audit.append(
            NOW + timedelta(microseconds=number), actor="\x00ada\ud800", action="login", object="x" * 500, source="é"
        )
    entries = audit.after(0, 100)
    assert follow(entries) == audit.head()
    assert [entry.seq for entry in audit.before(None, 2)] == [5, 4]
    assert [entry.seq for entry in audit.before(4, 100)] == [3, 2, 1]
    assert [entry.seq for entry in audit.after(3, 1)] == [4]
    assert entries[1].at == NOW + timedelta(microseconds=1)
    assert (entries[0].actor, len(entries[0].object)) == ("\ufffdada\ufffd", 300)


def test_many_who_act_at_once_make_one_chain(state_database: Database) -> None:
    from concurrent.futures import ThreadPoolExecutor

    audit = Audit(state_database)

    def act(number: int) -> None:
        audit.append(NOW, actor=str(number), action="x", object="y", source="z")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(act, range(40)))
    entries = audit.after(0, 100)
    assert follow(entries).seq == 40
    assert {entry.actor for entry in entries} == {str(number) for number in range(40)}


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET actor = 'mallory' WHERE seq = 2",
        "UPDATE audit SET detail = detail || ' ' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit SET seq = -seq WHERE seq IN (1, 2)",
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
    ],
)
def test_what_is_done_to_the_table_is_found_on_both_databases(state_database: Database, tampering: str) -> None:
    audit = Audit(state_database)
    for number in range(4):
        audit.append(NOW, actor=f"user{number}", action="login", object="x", source="y")
    head = audit.head()
    with state_database.write() as connection:
        connection.exec_driver_sql(tampering)
    with pytest.raises(BrokenChainError):
        follow(audit.after(-10, 100), head)


def hook(program: Program, to: str, body: object) -> Any:
    content = json.dumps(body).encode()
    signature = "sha256=" + hmac.new(HOOK_SECRET.encode(), content, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "x-hub-signature": signature}
    return program.ask("POST", f"/api/v1/hooks/{to}", content=content, headers=headers)


def test_whatever_acts_writes_an_entry_before_it_does(sqlite_database: Database) -> None:
    """One call for every rule that has a name; a rule that is added needs one here."""
    site = Site(sqlite_database, hook_secret=HOOK_SECRET)
    site.add_user()
    site.add_user("bo", Role.ADMIN)
    program = site.program(Role.ADMIN)
    deployment = program.start()
    rollout = program.post("/rollouts", {"deployment_id": deployment, "driver": "fake", "mode": "act"}).json()["id"]
    other = program.start("payments")
    tokens = [program.post("/tokens", {"name": f"t{n}", "role": "viewer"}).json()["id"] for n in range(2)]
    error = an_occurrence()
    see(site.services.database, error)
    _, code = site.services.access.accounts.add("cy", Role.VIEWER)
    browser = site.browser("bo")
    again = {"password": "quite different words", "again": "quite different words"}
    post = lambda path, body=None: lambda: program.post(path, body)  # noqa: E731
    kpi = {"name": "revenue", "kind": "mean", "direction": "higher_is_better", "attribute": "order.total"}
    complaint = {"customer": "acme", "summary": "Orders fail"}
    tolerances = [
        program.post("/tolerances", {"signal": s, "tolerance": 0.02}).json()["id"] for s in ("errors", "cls_p75")
    ]
    told = program.post("/complaints", complaint).json()["id"]
    editor = site.browser("ada")
    form = {"name": "margin", "source": "span_attribute", "named": "order.margin", "tolerance": "2"}
    form |= {"kind": "mean", "direction": "higher_is_better"}
    calls: dict[tuple[str, str], Callable[[], Any]] = {
        ("POST", "/deployments/{deployment_id}/rollout/{command}"): lambda: browser.post(
            f"/deployments/{deployment}/rollout/hold"
        ),
        ("POST", "/errors/{error_id}/resolve"): lambda: browser.post(f"/errors/{error.error_id}/resolve"),
        ("POST", "/errors/{error_id}/reopen"): lambda: browser.post(f"/errors/{error.error_id}/reopen"),
        ("POST", "/backtest"): lambda: browser.post("/backtest", days="30"),
        ("POST", "/login"): lambda: site.browser().log_in("ada"),
        ("GET", "/login/provider/back"): lambda: site.browser().get("/login/provider/back?code=x&state=y"),
        ("POST", "/welcome"): lambda: site.browser().post("/welcome", code=code, password=PASSWORD, again=PASSWORD),
        ("POST", "/logout"): lambda: site.browser("ada").post("/logout"),
        ("POST", "/account/password"): lambda: browser.post("/account/password", old=PASSWORD, **again),
        ("POST", "/account/tokens"): browser.make_token,
        ("POST", "/account/ingest-tokens"): lambda: browser.post("/account/ingest-tokens", name="shop", days="7"),
        ("POST", "/login/code"): lambda: site.browser().post("/login/code", code="000000"),
        ("POST", SECOND_FACTOR): lambda: editor.post(SECOND_FACTOR, password=PASSWORD),
        **{
            ("POST", f"{SECOND_FACTOR}/{act}"): lambda act=act: editor.post(  # type: ignore[misc]
                f"{SECOND_FACTOR}/{act}", password=PASSWORD, code="000000"
            )
            for act in ("confirm", "recovery-codes", "off")
        },
        ("DELETE", "/api/v1/users/{name}/second-factor"): lambda: program.ask(
            "DELETE", "/api/v1/users/cy/second-factor"
        ),
        ("POST", "/account/tokens/{token_id}/revoke"): lambda: browser.post(f"/account/tokens/{tokens[0]}/revoke"),
        ("POST", "/account/sessions/end"): lambda: browser.post(
            "/account/sessions/end", session=hash_of(browser.cookie()), password="not mine at all"
        ),
        ("POST", "/account/logout"): lambda: browser.post("/account/logout", password=again["password"]),
        ("POST", "/api/v1/deployments"): lambda: program.start("search"),
        ("PATCH", "/api/v1/deployments/{deployment_id}"): lambda: program.ask(
            "PATCH", f"/api/v1/deployments/{deployment}", json={"traffic_share": 0.1}
        ),
        ("POST", "/api/v1/rollouts"): post("/rollouts", {"deployment_id": other, "driver": "fake"}),
        ("POST", "/api/v1/rollouts/{rollout_id}/{command}"): post(f"/rollouts/{rollout}/abort"),
        ("POST", "/api/v1/errors/{error_id}/resolve"): post(f"/errors/{error.error_id}/resolve"),
        ("POST", "/api/v1/errors/{error_id}/reopen"): post(f"/errors/{error.error_id}/reopen"),
        ("POST", "/api/v1/users"): post("/users", {"name": "di"}),
        ("PATCH", "/api/v1/users/{name}"): lambda: program.ask("PATCH", "/api/v1/users/cy", json={"role": "viewer"}),
        ("POST", "/api/v1/users/{name}/link"): post("/users/cy/link"),
        ("POST", "/api/v1/users/{name}/logout"): post("/users/cy/logout"),
        ("POST", "/api/v1/projects"): post("/projects", {"name": "shop"}),
        ("PATCH", "/api/v1/projects/{name}"): lambda: program.ask(
            "PATCH", "/api/v1/projects/shop", json={"logs_retention_days": 1}
        ),
        ("PUT", "/api/v1/projects/{name}/members/{user}"): lambda: program.ask(
            "PUT", "/api/v1/projects/shop/members/cy", json={"role": "viewer"}
        ),
        ("DELETE", "/api/v1/projects/{name}/members/{user}"): lambda: program.ask(
            "DELETE", "/api/v1/projects/shop/members/cy"
        ),
        ("DELETE", "/api/v1/projects/{name}"): lambda: program.ask("DELETE", "/api/v1/projects/shop"),
        ("POST", "/api/v1/tokens"): post("/tokens", {"name": "t", "role": "viewer"}),
        ("POST", "/api/v1/backup"): post("/backup"),
        ("POST", "/api/v1/forget"): post("/forget", {"attribute": "enduser.id", "value": "secret-4711"}),
        ("POST", "/settings/kpis"): lambda: editor.post("/settings/kpis", **form),
        ("POST", "/settings/kpis/{name}"): lambda: editor.post("/settings/kpis/margin", **form),
        ("POST", "/settings/kpis/{name}/delete"): lambda: editor.post("/settings/kpis/margin/delete"),
        ("POST", "/settings/tolerances"): lambda: editor.post("/settings/tolerances", signal="errors", tolerance="1"),
        ("POST", "/settings/tolerances/{tolerance_id}"): lambda: editor.post(
            f"/settings/tolerances/{tolerances[0]}", signal="errors", tolerance="3"
        ),
        ("POST", "/settings/tolerances/{tolerance_id}/delete"): lambda: editor.post(
            f"/settings/tolerances/{tolerances[0]}/delete"
        ),
        ("POST", "/api/v1/kpis"): post("/kpis", kpi),
        ("PUT", "/api/v1/kpis/{name}"): lambda: program.ask("PUT", "/api/v1/kpis/revenue", json=kpi),
        ("DELETE", "/api/v1/kpis/{name}"): lambda: program.ask("DELETE", "/api/v1/kpis/revenue"),
        ("POST", "/api/v1/tolerances"): post("/tolerances", {"signal": "latency_p95", "tolerance": 1.2}),
        ("PUT", "/api/v1/tolerances/{tolerance_id}"): lambda: program.ask(
            "PUT", f"/api/v1/tolerances/{tolerances[1]}", json={"signal": "cls_p75", "tolerance": 0.03}
        ),
        ("DELETE", "/api/v1/tolerances/{tolerance_id}"): lambda: program.ask(
            "DELETE", f"/api/v1/tolerances/{tolerances[1]}"
        ),
        ("POST", "/api/v1/complaints"): post("/complaints", complaint | {"summary": "Orders fail again"}),
        ("DELETE", "/api/v1/complaints/{complaint_id}"): lambda: program.ask("DELETE", f"/api/v1/complaints/{told}"),
        ("POST", "/api/v1/hooks/complaints"): lambda: hook(program, "complaints", complaint | {"customer": "initech"}),
        ("POST", "/api/v1/hooks/jira"): lambda: hook(program, "jira", an_event()),
        ("DELETE", "/api/v1/tokens/{token_id}"): lambda: program.ask("DELETE", f"/api/v1/tokens/{tokens[1]}"),
    }
    elsewhere = {  # they need an engine, or an intake; this server has neither
        ("POST", "/api/v1/backtests"),
        ("POST", "/api/v1/calibrations"),
        ("DELETE", "/api/v1/dead-letters"),
        ("POST", "/api/v1/dead-letters/replay"),
    }
    assert calls.keys() | elsewhere == {key for key, rule in RULES.items() if rule.acts}
    for key, call in calls.items():
        before = len(site.log())
        call()
        assert RULES[key].acts in [entry.action for entry in site.log()[before:]], key
    assert follow(site.log()).seq == len(site.log())
    assert "secret-4711" not in repr(site.log()), "whose telemetry is to be forgotten is not kept in turn"


def test_what_was_refused_is_in_the_log_with_the_reason(site: Site) -> None:
    program = site.program(Role.OPERATOR)
    deployment = program.start()
    assert program.post("/rollouts", {"deployment_id": deployment, "driver": "no such"}).status_code == 422
    asked, refused = site.log()[-2:]
    assert (asked.action, asked.detail, asked.source) == ("rollout.start", "default mode", "10.0.0.9")
    assert refused.detail.startswith("refused: ")


def test_what_a_rollout_does_is_in_the_log_whoever_asked_for_it(site: Site) -> None:
    program = site.program(Role.OPERATOR)
    deployment = program.start()
    body = {"deployment_id": deployment, "driver": "fake", "mode": "act", "steps": [{"share": 0.1, "hold_s": 20}]}
    rollout = program.post("/rollouts", body).json()["id"]
    program.ask("PATCH", f"/api/v1/deployments/{deployment}", json={"status": "failed"})
    assert site.services.controller
    site.services.controller.tick(site.now)
    done = [(entry.action, entry.detail) for entry in site.log() if entry.actor == "onejob" and entry.object == rollout]
    assert done[0][0] == "rollout.holding"
    assert done[-1][0] == "rollout.aborted"
    assert any("the deployment was reported failed" in detail for _, detail in done)


def test_a_rollout_is_taken_back_also_when_the_log_cannot_be_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = site.program(Role.OPERATOR)
    body = {"deployment_id": program.start(), "driver": "fake", "mode": "act"}
    rollout = program.post("/rollouts", body).json()["id"]

    def full(*_: Any, **__: Any) -> None:
        raise StateUnavailableError("The disk is full.")

    monkeypatch.setattr(Audit, "append", full)
    assert site.services.controller
    assert site.services.controller.command(rollout, "abort", "mo").state is RolloutState.ABORTED


def test_nothing_is_done_that_cannot_be_written_down(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    program = site.program(Role.ADMIN)

    def full(*_: Any, **__: Any) -> None:
        raise StateUnavailableError("The disk is full.")

    monkeypatch.setattr(Audit, "append", full)
    assert program.post("/users", {"name": "di"}).status_code == 503
    assert site.services.access.accounts.users.named("di") is None


def test_admins_read_the_log_as_a_page_and_by_the_api(any_site: Site) -> None:
    browser = any_site.browser("ada")
    program = any_site.program(Role.ADMIN)
    program.start("<script>alert(1)</script>")
    page = browser.get("/audit").text
    assert str(any_site.services.audit.head()) in page.replace("</code>", "")
    assert "<script>alert" not in page
    documents = program.get("/audit").json()["items"]
    entries = [AuditEntry(**(one | {"at": datetime.fromisoformat(one["at"])})) for one in documents]
    assert follow(entries) == any_site.services.audit.head()
    assert program.get("/audit", params={"after": 1, "limit": 1}).json()["items"] == documents[1:2]
    assert json.dumps(documents)


def test_a_long_log_has_older_pages(site: Site) -> None:
    for number in range(130):
        site.services.record(actor=f"user{number}", action="x", object="y", source="z")
    browser = site.browser("ada")
    first = browser.get("/audit").text
    assert 'href="/audit?before=32" rel="next"' in first
    assert ">user0<" in browser.get("/audit?before=32").text
    assert browser.get("/audit?before=nonsense").status_code == 200
