"""The gate: a verdict as the exit code of a pipeline step.

Problem: tools disagree on what too little data means for a pipeline; some pass it, some fail it, silently. Solution:
the caller says with `--undecided` what it means here, and the exit code tells the cases apart. This module is part of
the small install: it must not import the server's libraries.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from onejob.model.verdict import State


class GateCode(IntEnum):
    """Exit codes; 2 stays the usage error of the command line."""

    NOT_WORSE = 0
    WORSE = 1
    UNDECIDED = 3
    UNKNOWN = 4


class UndecidedPolicy(StrEnum):
    """What a gate makes of a deployment that is still undecided when the time is up."""

    PASS = "pass"  # noqa: S105 - a policy, no password
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class GateDecision:
    """`is_final` is False while waiting may still change the outcome; `code` is what it is if it ends now."""

    code: GateCode
    is_final: bool


def gate_outcome(state: State | None, undecided: UndecidedPolicy) -> GateCode:
    """The exit code of a verdict's state; None means that no such deployment is known."""
    if state is None:
        return GateCode.UNKNOWN
    if state is State.WORSE:
        return GateCode.WORSE
    if state is State.UNDECIDED:
        return GateCode.NOT_WORSE if undecided is UndecidedPolicy.PASS else GateCode.UNDECIDED
    return GateCode.NOT_WORSE


def decide(
    state: State | None,
    undecided: UndecidedPolicy,
    *,
    waited_s: float,
    timeout_s: float,
    is_judged_to_the_end: bool = False,
) -> GateDecision:
    """Whether the gate can close now.

    It waits for an undecided deployment, and for one that is not known yet (a pipeline often asks before the first
    request has arrived), until `timeout_s`. A decided verdict ends the wait at once, and so does an undecided one of a
    deployment that is judged no longer: more waiting would not change it.
    """
    is_open = state in (None, State.UNDECIDED) and not is_judged_to_the_end
    return GateDecision(gate_outcome(state, undecided), is_final=not is_open or waited_s >= timeout_s)
