"""Reading the server's answer."""

from onejob.demo.api import judgement_of

NOT_EXPLAINED = {"made_at": None, "operations": [], "attributes": [], "calls": [], "traces": [], "notes": []}
EXPLAINED = {
    "rollout": {"state": "aborted", "share": 0.0},
    "verdict": {
        "state": "worse",
        "reason": None,
        "sentence": "checkout v3 is worse",
        "decided_at": "2026-01-02T03:04:05+00:00",
        "explanation": {
            "made_at": "2026-01-02T03:04:06+00:00",
            "operations": [{"operation": "POST /quotes", "signal": "latency_p95"}],
            "attributes": [{"name": "tenant.size", "value": "large", "lift": 9.0, "coverage": 1.0}],
            "calls": [
                {"path": ["POST /quotes"], "kind": "unchanged", "is_cause": False},
                {"path": ["POST /quotes", "SELECT price"], "kind": "more", "is_cause": True},
            ],
            "traces": [],
        },
    },
}


def test_a_deployment_that_was_just_reported_is_undecided_and_has_not_ended() -> None:
    judgement = judgement_of({"verdict": {"state": "undecided", "explanation": NOT_EXPLAINED}, "rollout": None})
    assert (judgement.state, judgement.has_ended, judgement.is_explained) == ("undecided", False, False)


def test_the_first_operation_the_first_attribute_and_the_cause_are_the_explanation() -> None:
    judgement = judgement_of(EXPLAINED)
    assert judgement.has_ended
    assert (judgement.operation, judgement.attribute, judgement.span) == (
        "POST /quotes",
        "tenant.size=large",
        "SELECT price",
    )
