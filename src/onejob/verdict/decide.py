"""From rows to states: evidence says whether, the tolerance says whether it matters.

Guardrails share alpha: E = sum w_i E_i, and the deployment alarms at 1/alpha. A family of signals over operations bets
half of its budget on a few operations being hurt (the weighted mean of their E) and half on all of them (the product).
Exploratory signals have no share: those of them that e-BH finds at 5 % are worse or better, on what they show now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onejob.model.verdict import State
from onejob.stats import e_bh, mixture
from onejob.verdict.budget import BUDGET
from onejob.verdict.signals import BETTER, WORSE, Row

EXPLORATORY_ALPHA = 0.05  # expected share of false ones among exploratory findings: they only hold a rollout


@dataclass(frozen=True, slots=True)
class Decision:
    """The deployment's log evidence (worse, better) and the state of each row, in the order of the rows."""

    log_e: tuple[float, float]
    states: tuple[State, ...]


def decide(rows: Sequence[Row], alpha: float, budget: Mapping[str, float] = BUDGET) -> Decision:
    """States of all rows, given the evidence of all of them together."""
    guardrails = _guardrails(rows)
    return _decision(rows, (_combined(guardrails, WORSE, budget), _combined(guardrails, BETTER, budget)), alpha)


def decide_adjusted(rows: Sequence[Row], alpha: float) -> Decision:
    """The same of rows each of whose evidence, -log p, has been adjusted for the others already: see `before_after`."""
    strongest = [max((row.log_e[side] for row in _guardrails(rows)), default=0.0) for side in (WORSE, BETTER)]
    return _decision(rows, (strongest[WORSE], strongest[BETTER]), alpha)


def _decision(rows: Sequence[Row], log_e: tuple[float, float], alpha: float) -> Decision:
    bar = float(np.log(1 / alpha))
    guardrails, found = _guardrails(rows), _explored([row for row in rows if row.exploratory])
    states = (found[id(row)] if row.exploratory else _state(row, guardrails, log_e, bar) for row in rows)
    return Decision(log_e=log_e, states=tuple(states))


def _guardrails(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not row.exploratory]


def decide_some(
    rows: Sequence[Row], holds: Sequence[bool], alpha: float, budget: Mapping[str, float] = BUDGET
) -> Decision:
    """The same where only some rows hold: nothing is known of the others."""
    held = decide([row for row, is_held in zip(rows, holds, strict=True) if is_held], alpha, budget)
    states = iter(held.states)
    return Decision(log_e=held.log_e, states=tuple(next(states) if is_held else State.UNDECIDED for is_held in holds))


def overall(rows: Sequence[Row], states: Sequence[State]) -> State:
    """Of the guardrails, worse on any outranks better elsewhere; no_worse only if every one is."""
    mine = [state for row, state in zip(rows, states, strict=True) if not row.exploratory]
    if State.WORSE in mine:
        return State.WORSE
    if State.BETTER in mine:
        return State.BETTER
    if mine and all(state is State.NO_WORSE for state in mine):
        return State.NO_WORSE
    return State.UNDECIDED


def _combined(rows: Sequence[Row], side: int, budget: Mapping[str, float]) -> float:
    log_e: list[float] = []
    weights: list[float] = []
    for family, share in budget.items():
        mine = list({row.stream or row.operation: row for row in rows if row.family == family}.values())
        for row in mine:
            log_e.append(row.log_e[side])
            weights.append(share / 2 * row.weight)
        log_e.append(sum(row.log_e[side] for row in mine))
        weights.append(share / 2)
    return mixture.log_weighted(np.array(log_e), np.array(weights))


def _explored(rows: Sequence[Row]) -> dict[int, State]:
    """States of exploratory rows, by identity: what e-BH finds and is beyond its tolerance."""
    states = {id(row): State.NO_WORSE if row.is_within else State.UNDECIDED for row in rows}
    for side, state in ((BETTER, State.BETTER), (WORSE, State.WORSE)):
        found = e_bh.discoveries(np.array([row.log_e[side] for row in rows]), EXPLORATORY_ALPHA)
        for row, is_found in zip(rows, found, strict=True):
            if is_found and row.is_beyond(side):
                states[id(row)] = state
    return states


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
