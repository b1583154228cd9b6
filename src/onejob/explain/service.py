"""The use case: from a `worse` verdict and the spans in the store to an Explanation.

A pure function of what the store holds: asked again later, when late spans have arrived, it may say more. What is not
known is said in a note; only an engine that does not answer raises.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from onejob.explain.operation import OperationFindings, explain_operation
from onejob.explain.reading import Requests, Window, read_requests
from onejob.explain.rivals import Damage, Weighed, weigh
from onejob.explain.where import Suspect, carrying_operations, suspects
from onejob.model.deployment import Deployment
from onejob.model.explanation import CarryingOperation, Explanation
from onejob.model.verdict import State, Verdict
from onejob.store.engine import Engine
from onejob.verdict.before_after import KIND as BEFORE_AFTER

MAX_EXPLAINED = 3  # operations looked into span by span
_WORTH_EXPLAINING = 0.05


class ExplainSettings(Protocol):
    """The part of `config.Settings` that explaining reads."""

    @property
    def default_environment(self) -> str: ...

    @property
    def promoted_attributes(self) -> Sequence[str]: ...

    @property
    def customer_attributes(self) -> Sequence[str]: ...


def explain(
    engine: Engine,
    deployment: Deployment,
    verdict: Verdict,
    *,
    settings: ExplainSettings,
    now: datetime,
    others: Sequence[Deployment] = (),
) -> Explanation:
    """Where the damage is, who is hurt, which calls do it, and a trace of each arm.

    `others` are deployments to the same environment in `rivals.when_others_count`, of whatever service; those that may
    have done it instead become suspects, or a note where the engine cannot say.

    Raises what `engine.query` raises.
    """
    if verdict.state is not State.WORSE:
        return _only_notes(deployment, now, f"Only a verdict of worse is explained; this one is {verdict.state.value}.")
    found = suspects(verdict)
    if not found:
        return _only_notes(deployment, now, "The verdict rests on no operation, so there is no place to look.")
    window, note = _window(deployment, verdict, settings)
    requests = read_requests(engine, window, sorted({s.operation for s in found})) if window else {}
    carriers = carrying_operations(found, requests)
    findings = [
        _findings(engine, window, requests, carrier, place, settings)
        for place, carrier in enumerate(_worth_explaining(carriers))
        if window
    ]
    weighed = _weighed(engine, deployment, verdict, window, carriers[0], found, others) if window else Weighed()
    return Explanation(
        deployment_id=deployment.id,
        made_at=now,
        operations=tuple(carriers),
        attributes=tuple(a for f in findings for a in f.attributes),
        calls=tuple(c for f in findings for c in f.calls),
        traces=tuple(t for f in findings for t in f.traces),
        notes=(*note, *dict.fromkeys(n for f in findings for n in f.notes), *_uncertain(found), *weighed.notes),
        suspects=weighed.suspects,
        services=tuple(s for f in findings for s in f.services),
    )


def _weighed(
    engine: Engine,
    deployment: Deployment,
    verdict: Verdict,
    window: Window,
    carrier: CarryingOperation,
    found: list[Suspect],
    others: Sequence[Deployment],
) -> Weighed:
    """Weighed by the requests of the operation that lost most."""
    phi = {(s.operation, s.result.signal): s.result.phi for s in found}
    damage = Damage(carrier=carrier, phi=phi[carrier.operation, carrier.signal])
    return weigh(engine, deployment, verdict, window, damage, others)


def _findings(
    engine: Engine,
    window: Window,
    requests: dict[str, Requests],
    carrier: CarryingOperation,
    place: int,
    settings: ExplainSettings,
) -> OperationFindings:
    """The cause is marked in the first operation only: it is *the* cause."""
    return explain_operation(
        engine,
        window,
        requests.get(carrier.operation),
        operation=carrier.operation,
        signal=carrier.signal,
        preferred=(*settings.promoted_attributes, *settings.customer_attributes),
        is_leading=place == 0,
    )


def _worth_explaining(carriers: list[CarryingOperation]) -> list[CarryingOperation]:
    """The leading ones, each operation once: by the signal that lost most."""
    by_operation: dict[str, CarryingOperation] = {}
    for carrier in carriers:
        by_operation.setdefault(carrier.operation, carrier)
    leading = [c for c in by_operation.values() if c.share >= _WORTH_EXPLAINING]
    return (leading or carriers[:1])[:MAX_EXPLAINED]


def _window(
    deployment: Deployment, verdict: Verdict, settings: ExplainSettings
) -> tuple[Window | None, tuple[str, ...]]:
    if verdict.window_start is None or verdict.window_end is None:
        return None, ("The verdict names no time in which both arms served, so no traces are compared.",)
    control = verdict.control.versions if verdict.control else ()
    control = control or ((deployment.previous_version,) if deployment.previous_version else ())
    window = Window(
        service=deployment.service,
        environment=deployment.environment,
        default_environment=settings.default_environment,
        control=control,
        treatment=(deployment.version,),
        since=verdict.window_start,
        until=verdict.window_end,
    )
    if verdict.control is not None and verdict.control.kind == BEFORE_AFTER:
        # The old version served before: as long before as the new one has since.
        earlier = replace(window, since=window.since - (window.until - window.since))
        return earlier, ("Traces of the old version are from before the deployment.",)
    return window, () if control else ("The verdict names no control, so there is nothing to compare traces with.",)


def _uncertain(found: list[Suspect]) -> tuple[str, ...]:
    if any(suspect.result.state is State.WORSE for suspect in found):
        return ()
    return ("No operation is worse by itself, only all together; the operations listed are those that point that way.",)


def _only_notes(deployment: Deployment, now: datetime, note: str) -> Explanation:
    return Explanation(
        deployment_id=deployment.id, made_at=now, operations=(), attributes=(), calls=(), traces=(), notes=(note,)
    )
