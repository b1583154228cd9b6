"""Deployments, verdicts and rollouts as the documents the API answers with."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from onejob.act.rollout import waits_for
from onejob.model.deployment import Deployment, Status
from onejob.model.explanation import Explanation
from onejob.model.known_error import KnownError
from onejob.model.rollout import Rollout
from onejob.model.verdict import Reason, State, Verdict
from onejob.state.codec import Plain, iso, to_plain
from onejob.state.deployments import DeploymentRecord
from onejob.state.verdicts import VerdictChange
from onejob.verdict.basis import decided_by

_NO_NUMBER: Callable[[float], Plain] = lambda _: None  # noqa: E731  JSON has no infinity: null, "not known"


def record_document(record: DeploymentRecord, now: datetime) -> dict[str, Any]:
    """A deployment with its rollout and its verdict."""
    return {
        **deployment_document(record.deployment),
        "rollout": rollout_document(record.rollout, record.verdict, now) if record.rollout else None,
        "verdict": verdict_document(record, record.verdict),
        "complaints": record.complaints,
    }


def deployment_document(deployment: Deployment) -> dict[str, Any]:
    """The deployment itself."""
    return _plain(deployment)


def verdict_document(record: DeploymentRecord, verdict: Verdict | None) -> dict[str, Any]:
    """A verdict on the deployment, with its explanation; before there is one, an honest `undecided`."""
    document = _not_judged(record.deployment) if verdict is None else _plain(verdict)
    document.pop("deployment_id", None)
    for row, signal in zip(document["signals"], verdict.signals if verdict else (), strict=True):
        row["decided_by"] = decided_by(signal)
    document["is_final"] = record.is_final
    document["explanation"] = explanation_document(record.explanation)
    return document


def explanation_document(explanation: Explanation | None) -> dict[str, Any]:
    """Why; all lists empty where there is nothing to explain (only a `worse` verdict has something)."""
    if explanation is None:
        lists = ("operations", "attributes", "calls", "traces", "notes", "suspects", "services")
        return {"made_at": None, **{name: [] for name in lists}}
    document = _plain(explanation)
    document.pop("deployment_id")
    return document


def error_document(error: KnownError, now: datetime, last_day: int | None) -> dict[str, Any]:
    """An error or a log message, with its status as of now."""
    return {**_plain(error), "status": error.status_at(now).value, "last_day": last_day}


def rollout_document(rollout: Rollout, verdict: Verdict | None, now: datetime) -> dict[str, Any]:
    """A rollout, its plan unfolded, and what it waits for."""
    document = _plain(rollout) | {"waits_for": waits_for(rollout, verdict, now)}
    plan = document.pop("plan")
    return {**{name: document.pop(name) for name in ("id", "deployment_id", "state")}, **plan, **document}


def change_document(change: VerdictChange) -> dict[str, Any]:
    """One line of a verdict's history."""
    return _plain(change)


def waiting_sentence(deployment: Deployment) -> tuple[Reason, str]:
    """Why there is no verdict yet, as far as facts go."""
    what = f"{deployment.service} {deployment.version} in {deployment.environment}"
    if deployment.first_seen_at is None:
        if deployment.status is Status.IN_PROGRESS:
            return Reason.NO_DATA, f"Not judged yet: no request to {what} has been seen."
        return Reason.NO_DATA, f"Not judged: no request to {what} was seen."
    since = iso(deployment.first_seen_at.replace(microsecond=0))
    return Reason.TOO_EARLY, f"Not judged yet: {what} has served since {since}, too short for a first look."


def _not_judged(deployment: Deployment) -> dict[str, Any]:
    reason, sentence = waiting_sentence(deployment)
    absent = ("judged_at", "decided_at", "first_visible_at", "control", "treatment")
    return {
        "state": str(State.UNDECIDED),
        "reason": str(reason),
        "sentence": sentence,
        **dict.fromkeys(absent),
        "signals": [],
        "left_out": [],
    }


def _plain(value: object) -> dict[str, Any]:
    document = to_plain(value, non_finite=_NO_NUMBER)
    if not isinstance(document, dict):
        raise TypeError(f"{type(value).__name__} is no document")
    return document
