"""From rows to states: evidence says whether, the tolerance says whether it matters.

Guardrails share alpha: E = sum w_i E_i, and the deployment alarms at 1/alpha. A family of signals over operations bets
half of its budget on a few operations being hurt (the weighted mean of their E) and half on all of them (the product).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onejob.model.verdict import State
from onejob.stats import mixture
from onejob.verdict.signals import BETTER, BUDGET, WORSE, Row


@dataclass(frozen=True, slots=True)
class Decision:
    """The deployment's log evidence (worse, better) and the state of each row, in the order of the rows."""

    log_e: tuple[float, float]
    states: tuple[State, ...]


def decide(rows: Sequence[Row], alpha: float) -> Decision:
    """States of all rows, given the evidence of all of them together."""
    return _decision(rows, (_combined(rows, WORSE), _combined(rows, BETTER)), alpha)


def decide_adjusted(rows: Sequence[Row], alpha: float) -> Decision:
    """The same of rows each of whose evidence, -log p, has been adjusted for the others already: see `before_after`."""
    strongest = [max((row.log_e[side] for row in rows), default=0.0) for side in (WORSE, BETTER)]
    return _decision(rows, (strongest[WORSE], strongest[BETTER]), alpha)


def _decision(rows: Sequence[Row], log_e: tuple[float, float], alpha: float) -> Decision:
    bar = float(np.log(1 / alpha))
    return Decision(log_e=log_e, states=tuple(_state(row, rows, log_e, bar) for row in rows))


def overall(states: Sequence[State]) -> State:
    """Worse on any guardrail outranks better elsewhere; no_worse only if every row is."""
    if State.WORSE in states:
        return State.WORSE
    if State.BETTER in states:
        return State.BETTER
    if states and all(state is State.NO_WORSE for state in states):
        return State.NO_WORSE
    return State.UNDECIDED


def _combined(rows: Sequence[Row], side: int) -> float:
    log_e: list[float] = []
    weights: list[float] = []
    for family, budget in BUDGET.items():
        mine = list({row.operation: row for row in rows if row.family == family}.values())
        for row in mine:
            log_e.append(row.log_e[side])
            weights.append(budget / 2 * row.weight)
        log_e.append(sum(row.log_e[side] for row in mine))
        weights.append(budget / 2)
    return mixture.log_weighted(np.array(log_e), np.array(weights))


def _state(row: Row, rows: Sequence[Row], log_e: tuple[float, float], bar: float) -> State:
    for side, state in ((WORSE, State.WORSE), (BETTER, State.BETTER)):
        if log_e[side] >= bar and row.is_beyond(side) and _carries(row, rows, side, bar):
            return state
    return State.NO_WORSE if row.is_within else State.UNDECIDED


def _carries(row: Row, rows: Sequence[Row], side: int, bar: float) -> bool:
    """Is the alarm this row's doing: beyond doubt by itself, or else the strongest of those beyond tolerance?"""
    if row.log_e[side] >= bar and row.own_log_e[side] >= bar / 2 and row.is_clear(side):
        return True
    beyond = [r for r in rows if r.is_beyond(side)]
    return row is max(beyond, key=lambda r: (r.log_e[side], r.is_clear(side), r.own_log_e[side]))
