"""Builders: a model object with one thing said about it, the rest made up."""

from datetime import UTC, datetime
from typing import Any

from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.model.evidence import Arm, Cell, EvidenceBatch, NoveltyCell, RouterCount, ValueCell
from onejob.model.explanation import AttributeValue, Explanation
from onejob.model.kpi import Direction, Kpi, KpiKind
from onejob.model.rollout import Mode, Rollout, RolloutPlan, RolloutState, Step, Transition
from onejob.model.verdict import ArmSummary, EffectKind, Missing, Reason, SignalResult, State, Verdict
from onejob.state.ids import new_id

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def a_deployment(**said: Any) -> Deployment:
    """A canary of checkout 2 in production, started at NOW."""
    made_up: dict[str, Any] = {
        "id": new_id("dep", said.get("started_at", NOW)),
        "service": "checkout",
        "environment": "production",
        "version": "2",
        "previous_version": "1",
        "strategy": Strategy.CANARY,
        "source": Source.REPORTED,
        "status": Status.IN_PROGRESS,
        "started_at": NOW,
    }
    return Deployment(**(made_up | said))


def a_signal(**said: Any) -> SignalResult:
    """An undecided p95 of POST /orders."""
    made_up: dict[str, Any] = {
        "operation": "POST /orders",
        "signal": "latency_p95",
        "state": State.UNDECIDED,
        "effect_kind": EffectKind.RATIO,
        "control": 0.1,
        "treatment": 0.138,
        "effect": 1.38,
        "low": 1.27,
        "high": 1.51,
        "tolerance": 1.1,
        "missing": Missing(largest_excluded=1.6, requests=1200, seconds_p50=300.0, seconds_p90=400.0),
        "log_evidence": 1.5,
        "log_evidence_better": float("-inf"),
        "weight": 0.5,
        "phi": 1.5,
        "theta_0": 1.48,
        "control_requests": 9000,
        "treatment_requests": 1000,
    }
    return SignalResult(**(made_up | said))


def a_verdict(deployment_id: str, **said: Any) -> Verdict:
    """An undecided verdict with one signal."""
    arm = ArmSummary(kind="concurrent", versions=("1",), instances=("a",), requests=9000)
    made_up: dict[str, Any] = {
        "deployment_id": deployment_id,
        "state": State.UNDECIDED,
        "reason": Reason.TOO_EARLY,
        "sentence": "Undecided: 6 more minutes.",
        "judged_at": NOW,
        "decided_at": None,
        "first_visible_at": None,
        "control": arm,
        "treatment": arm,
        "signals": (a_signal(),),
        "log_evidence": 1.0,
        "alpha": 0.01,
        "window_start": NOW,
        "window_end": NOW,
        "left_out": ("Health checks.",),
        "engine_version": "0.1.0",
    }
    return Verdict(**(made_up | said))


def an_explanation(deployment_id: str, **said: Any) -> Explanation:
    """An explanation that found nothing."""
    made_up: dict[str, Any] = {
        "deployment_id": deployment_id,
        "made_at": NOW,
        "operations": (),
        "attributes": (),
        "calls": (),
        "traces": (),
    }
    return Explanation(**(made_up | said))


def a_cell(**said: Any) -> Cell:
    """Ten requests of POST /orders on version 2."""
    made_up: dict[str, Any] = {
        "operation": "POST /orders",
        "version": "2",
        "instance": "pod-1",
        "bin_start": 1000,
        "count": 10,
        "errors": 1,
        "sum_s": 0.1 + 0.2,
        "sum_sq_s2": 0.05,
        "buckets": {-100: 7, -3: 3},
    }
    return Cell(**(made_up | said))


def a_value_cell(**said: Any) -> ValueCell:
    """Three orders of version 2, one of them large, and one refund."""
    made_up: dict[str, Any] = {
        "kpi": "revenue",
        "version": "2",
        "instance": "pod-1",
        "bin_start": 1000,
        "counts": {1104: 2, 1110: 1, -1103: 1},
        "sums": {1104: 40.1 + 0.2, 1110: 1500.0, -1103: -9.5},
    }
    return ValueCell(**(made_up | said))


def a_novelty_cell(**said: Any) -> NoveltyCell:
    """An error of version 2."""
    made_up: dict[str, Any] = {
        "kind": "error",
        "fingerprint": "f1",
        "version": "2",
        "bin_start": 1000,
        "count": 2,
        "title": "KeyError in price",
        "sample": "Traceback",
        "trace_id": "t1",
    }
    return NoveltyCell(**(made_up | said))


def a_kpi(**said: Any) -> Kpi:
    """Revenue per order."""
    made_up: dict[str, Any] = {
        "name": "revenue",
        "kind": KpiKind.MEAN,
        "direction": Direction.HIGHER_IS_BETTER,
        "attribute": "order.total",
        "unit": "EUR",
    }
    return Kpi(**(made_up | said))


def a_batch(deployment_id: str, **said: Any) -> EvidenceBatch:
    """The first batch, with one cell."""
    made_up: dict[str, Any] = {
        "deployment_id": deployment_id,
        "seq": 0,
        "judged_at": NOW,
        "bins_from": 1000,
        "bins_to": 1010,
        "bin_width_s": 10,
        "cells": (a_cell(),),
    }
    return EvidenceBatch(**(made_up | said))


def a_router_count(**said: Any) -> RouterCount:
    """Five requests of the treatment, two of them failed."""
    made_up: dict[str, Any] = {
        "arm": Arm.TREATMENT,
        "sampled_at": NOW,
        "requests": 5,
        "errors_5xx": 2,
        "resets": 1,
        "timeouts": 1,
        "share": 0.1,
    }
    return RouterCount(**(made_up | said))


def a_rollout(deployment_id: str, **said: Any) -> Rollout:
    """An Envoy rollout that holds at its first step."""
    step = Step(share=0.1, hold_s=20.0, error_limit=0.3, latency_limit=3.0, timeout_s=600.0)
    made_up: dict[str, Any] = {
        "id": new_id("rol", NOW),
        "deployment_id": deployment_id,
        "plan": RolloutPlan(driver="envoy", settings={"admin": "http://127.0.0.1:1"}, steps=(step,), mode=Mode.ACT),
        "state": RolloutState.HOLDING,
        "step": 0,
        "share": 0.1,
        "step_started_at": NOW,
        "transitions": (a_transition(),),
    }
    return Rollout(**(made_up | said))


def a_transition(**said: Any) -> Transition:
    """From pending to holding at 10 %."""
    made_up: dict[str, Any] = {
        "at": NOW,
        "from_state": RolloutState.PENDING,
        "to_state": RolloutState.HOLDING,
        "step": 0,
        "share": 0.1,
        "reason": "started",
    }
    return Transition(**(made_up | said))


def an_attribute_value(name: str, value: str) -> AttributeValue:
    """That carries all of one failed request."""
    return AttributeValue(
        operation="o", signal="errors", name=name, value=value,
        lift=2.0, coverage=1.0, rest_share=0.0, bad=1, total=1,
    )  # fmt: skip
