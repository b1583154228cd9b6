"""Minutes of an hour after a deployment in which errors are so many times as many as usual, and what was expected."""

from collections.abc import Mapping

import numpy as np

from onejob.model.evidence import Expectations, ExpectedSeries
from verdict.traffic import START

MINUTE, HOUR = 60, 60  # seconds in one, minutes in the other
OPERATION = "POST /orders"
PER_MINUTE, RATE = 200, 0.02
Plan = Mapping[range, float]  # minutes from the deployment -> times as many errors as usual

LASTING: Plan = {range(HOUR + 9): 4.0}


def factor(plan: Plan, minute: int) -> float:
    return next((times for minutes, times in plan.items() if minute in minutes), 1.0)


def errors(plan: Plan, minute: int, requests: int = PER_MINUTE) -> int:
    rng = np.random.default_rng(1_000 + minute)
    return int(rng.binomial(requests, RATE * factor(plan, minute)))


def expectations(plan: Plan, before: bool = True) -> Expectations:
    """Of a service whose errors stray no more than chance has it, as two weeks had shown."""
    heights = tuple((0.6 + np.random.default_rng(3).exponential(0.12, 300)).tolist())
    hour = [[float(errors(plan, minute)) for minute in range(-HOUR, 0)], [PER_MINUTE * RATE] * HOUR]
    return Expectations(
        first=START + 2 * MINUTE,
        step_s=MINUTE,
        independent=75.0,
        is_adjacent=True,
        days_back=(1, 2),
        requests=100_000,
        versions=("1",),
        series=(
            ExpectedSeries(
                operation=OPERATION,
                signal="errors",
                edge=None,
                rate=(RATE,) * HOUR,
                scale=((2.6,) * 5,) * 2,
                heights=(heights, heights),
                before=tuple(tuple(row) for row in hour) if before else (),
            ),
        ),
    )
