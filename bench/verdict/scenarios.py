"""The kinds of traffic a judge must not be fooled by. No arm differs from the other by its version.

Each is one deployment of 24 hours that is looked at every 10 s; see `traffic` for what the numbers mean.
"""

import numpy as np
from bench.verdict.traffic import Bursts, Traffic, Wander, heavy_tail, three_modes
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOUR = 360  # bins


def daily(rng: np.random.Generator, bins: int) -> tuple[Floats, Floats]:
    """Traffic between a fifth and nine fifths of its mean, durations 30 % longer at the peak; any hour to start at."""
    phase = 2 * np.pi * (np.arange(bins) / (24 * HOUR) + rng.random())
    return 1 + 0.8 * np.sin(phase), 0.13 * (1 + np.sin(phase))


def weekly(rng: np.random.Generator, bins: int) -> tuple[Floats, Floats]:
    """The same, with two days of seven at a third of the traffic; any hour of the week to start at."""
    load, heat = daily(rng, bins)
    day = (rng.random() * 7 + np.arange(bins) / (24 * HOUR)) % 7
    return np.where(day >= 5, load / 3, load), np.where(day >= 5, heat / 3, heat)


def rising(bins: int) -> Floats:
    """Errors from 0.5 % to 3 % of all requests, evenly over the day."""
    return np.geomspace(1, 6, bins)


_ROLLOUT = ((0, 0.1), (8 * HOUR, 0.5), (16 * HOUR, 0.9))
_ONE_OF_TEN = {"pods": (9, 1), "shares": ((0, 0.1),)}
_THREE_OF_TEN = {"pods": (7, 3), "shares": ((0, 0.3),)}


def harmless() -> list[Traffic]:
    """Every kind, by name."""
    return [
        Traffic(name="iid, one instance each"),
        Traffic(name="iid, 1 pod of 10", **_ONE_OF_TEN),
        Traffic(name="AR(0.8) of each arm, by 10 s", wander=Wander(0.8)),
        Traffic(name="AR(0.8) of each arm, by minutes", wander=Wander(0.8, step=6)),
        Traffic(name="AR(0.98) of each arm, by 10 s", wander=Wander(0.98)),
        Traffic(name="AR(0.98) of each arm, by minutes", wander=Wander(0.98, step=6)),
        Traffic(name="AR(0.98) of each arm, 5 pods each", wander=Wander(0.98, step=6), pods=(5, 5)),
        Traffic(name="AR(0.98) of each pod, 5 each", wander=Wander(0.98, step=6, of_each="pod"), pods=(5, 5)),
        *(Traffic(name=f"1 pod of 10, sd {sd * 100:g} %", pod_sd=sd, **_ONE_OF_TEN) for sd in (0.02, 0.05, 0.1)),
        *(Traffic(name=f"3 pods of 10, sd {sd * 100:g} %", pod_sd=sd, **_THREE_OF_TEN) for sd in (0.02, 0.05, 0.1)),
        Traffic(name="one tenant's bursts", bursts=Bursts()),
        Traffic(name="one tenant's bursts, 1 pod of 10", bursts=Bursts(), **_ONE_OF_TEN),
        Traffic(name="daily seasonality", season=daily),
        Traffic(name="weekly seasonality", season=weekly),
        Traffic(name="heavy tails", draw=heavy_tail),
        Traffic(name="three modes", draw=three_modes),
        Traffic(name="mix shift", operations=2, mix=(1.0, 3.0), spread=np.log([1.0, 4.0]), shares=((0, 0.3),)),
        Traffic(name="warm-up, 2x over 30 s", warm_up=(2.0, 30.0)),
        Traffic(name="errors 0.5 -> 3 % while 10 -> 50 -> 90 %", shares=_ROLLOUT, drift=rising),
        Traffic(name="1 % canary", shares=((0, 0.01),)),
        Traffic(name="10 % canary", shares=((0, 0.1),)),
        Traffic(name="10 requests an hour", rate_per_s=10 / 3600),
        Traffic(name="1 request a minute", rate_per_s=1 / 60),
        Traffic(name="1 request a second", rate_per_s=1.0),
        Traffic(name="35 operations", operations=35, rate_per_s=0.5, shares=((0, 0.3),)),
        Traffic(name="350 operations", operations=350, rate_per_s=0.05, shares=((0, 0.3),)),
    ]
