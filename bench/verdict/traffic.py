"""Traffic whose truth is known: a service's requests over a day, as the counts the judge works on.

A deployment-day has a million requests, and a false-alarm rate of 1 % needs hundreds of days for each kind of noise. So
a day is drawn in whole arrays from a seed, straight into the judge's own columns; nothing is looped over requests.

What is described is a service before and after `start`: until then control serves alone, from then on both arms do.
Times are bins of 10 s. Noise is multiplicative: a value of 0.05 in the log makes durations 5 % longer and errors 5 %
more frequent.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from onejob.stats import histogram
from onejob.verdict.counts import Counts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BIN_S = 10
BASELINE_BINS = 60  # ten minutes, as the live judge reads
DAY_BINS = 24 * 360
Draw = Callable[[np.random.Generator, int], Floats]


def lognormal(rng: np.random.Generator, n: int) -> Floats:
    """Log seconds around 30 ms; the p99 is 2.5 times the median."""
    return np.log(0.03) + 0.4 * rng.standard_normal(n)


def heavy_tail(rng: np.random.Generator, n: int) -> Floats:
    """A Pareto of index 1.2 above 20 ms: no variance, hardly a mean."""
    return np.log(0.02) + rng.standard_exponential(n) / 1.2


def three_modes(rng: np.random.Generator, n: int) -> Floats:
    """Cache hits, misses and time-outs: 8 ms, 90 ms and 1 s."""
    mode = np.searchsorted([0.7, 0.95], rng.random(n))
    return np.log(np.array([0.008, 0.09, 1.0]))[mode] + 0.15 * rng.standard_normal(n)


@dataclass(frozen=True, slots=True)
class Wander:
    """Autoregressive noise of the given stationary sd, stepping every `step` bins, of each arm or of each pod."""

    rho: float
    sd: float = 0.05
    step: int = 1
    of_each: str = "arm"


@dataclass(frozen=True, slots=True)
class Bursts:
    """One tenant's bursts: `per_hour` times `size` requests within 30 s on one pod, slower and often failing.

    As many errors come from them as from everybody else together.
    """

    per_hour: float = 20.0
    size: int = 20
    slower: float = 3.0
    failing: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """A service, its noise, and what the new version does to it.

    `shares` says from which bin after the start which share of requests treatment gets. `slower` multiplies the
    durations and `failing` the error rate of treatment's requests to operation 0; 1 means there is no difference.
    `season` gives, for the bins of the day, (traffic, log latency) factors; `drift` the error rate's factor.
    """

    name: str
    rate_per_s: float = 10.0  # of each operation, both arms together
    operations: int = 1
    shares: tuple[tuple[int, float], ...] = ((0, 0.5),)
    pods: tuple[int, int] = (1, 1)
    bins: int = DAY_BINS
    draw: Draw = lognormal
    errors: float = 0.005
    wander: Wander | None = None
    pod_sd: float = 0.0
    bursts: Bursts | None = None
    season: Callable[[np.random.Generator, int], tuple[Floats, Floats]] | None = None
    drift: Callable[[int], Floats] | None = None
    mix: tuple[float, ...] = ()  # factors of treatment's share, by operation, in odds
    spread: Floats | None = field(default=None)  # log median by operation
    warm_up: tuple[float, float] | None = None  # (times as slow at first, decaying over s)
    warmed: bool = False  # were treatment's instances warmed up before, so that their durations count at once?
    slower: float = 1.0
    failing: float = 1.0


@dataclass(frozen=True, slots=True)
class Day:
    """One deployment's counts; treatment serves from bin `start` on.

    `cell` and `position` are all requests, also of instances that warm up, which `counts` leaves out of its buckets.
    `chances` are operation 0's error chances, shape (arm, bin).
    """

    traffic: Traffic
    counts: Counts
    start: int
    cell: Ints
    position: Ints
    chances: Floats


def day(traffic: Traffic, seed: int) -> Day:
    """Draw the deployment of this seed."""
    rng = np.random.default_rng([seed, _key(traffic.name)])
    bins = BASELINE_BINS + traffic.bins
    control, treatment = traffic.pods
    arm = np.repeat([0, 1], [control, treatment])
    load, heat = _season(traffic, rng, bins)
    rate = (
        traffic.rate_per_s * BIN_S * load[:, None, None] * _part(traffic, bins)[:, :, arm] / np.array(traffic.pods)[arm]
    )
    shift = heat[:, None] + _noise(traffic, rng, bins, arm)
    chance = _chance(traffic, bins, shift, arm)
    latency = shift + _warm_up(traffic, bins, arm)
    counts, cell, position = _counts(traffic, rng, rate, latency, chance, arm)
    first = [chance[:, 0, arm == side].mean(axis=1) for side in (0, 1)]
    return Day(traffic, counts, BASELINE_BINS, cell, position, np.stack(first))


def _key(name: str) -> int:
    """Of the whole name: kinds that end alike must not share their draws."""
    return zlib.crc32(name.encode())


def _season(traffic: Traffic, rng: np.random.Generator, bins: int) -> tuple[Floats, Floats]:
    if traffic.season is None:
        return np.ones(bins), np.zeros(bins)
    return traffic.season(rng, bins)


def _part(traffic: Traffic, bins: int) -> Floats:
    """Each arm's part of an operation's requests; shape (bins, operations, arms)."""
    share = np.zeros(bins)
    for since, value in traffic.shares:
        share[BASELINE_BINS + since :] = value
    odds = share / np.maximum(1 - share, 1e-12)
    factors = np.array(traffic.mix or (1.0,) * traffic.operations)
    mixed = odds[:, None] * factors / (1 + odds[:, None] * factors)
    return np.stack([1 - mixed, mixed], axis=2)


def _noise(traffic: Traffic, rng: np.random.Generator, bins: int, arm: Ints) -> Floats:
    """Of each pod over time, in the log; shape (bins, pods)."""
    noise = traffic.pod_sd * rng.standard_normal(len(arm)) + np.zeros((bins, 1))
    if traffic.wander is None:
        return noise
    w = traffic.wander
    walkers = 2 if w.of_each == "arm" else len(arm)
    steps = rng.standard_normal((-(-bins // w.step), walkers)) * w.sd
    steps[1:] *= np.sqrt(1 - w.rho**2)
    walk = np.repeat(lfilter([1.0], [1.0, -w.rho], steps, axis=0), w.step, axis=0)[:bins]
    return noise + (walk[:, arm] if w.of_each == "arm" else walk)


def _chance(traffic: Traffic, bins: int, shift: Floats, arm: Ints) -> Floats:
    """That a request fails; shape (bins, operations, pods)."""
    drift = np.ones(bins) if traffic.drift is None else traffic.drift(bins)
    chance = traffic.errors * drift[:, None, None] * np.exp(shift)[:, None, :] * np.ones((1, traffic.operations, 1))
    chance[:, 0, arm == 1] *= traffic.failing
    return np.minimum(chance, 1.0)


def _warm_up(traffic: Traffic, bins: int, arm: Ints) -> Floats:
    if traffic.warm_up is None:
        return np.zeros((bins, len(arm)))
    times, over_s = traffic.warm_up
    age = (np.arange(bins)[:, None] - BASELINE_BINS) * BIN_S
    slower = np.log1p((times - 1) * np.exp(-np.maximum(age, 0) / over_s))
    return np.where((arm == 1) & (age >= 0), slower, 0.0)


def _counts(
    traffic: Traffic, rng: np.random.Generator, rate: Floats, latency: Floats, chance: Floats, arm: Ints
) -> tuple[Counts, Ints, Ints]:
    plain = rng.poisson(rate).astype(np.int64)
    burst = _bursts(traffic, rng, plain.shape)
    errors = rng.binomial(plain, chance).astype(np.int64)
    total = plain
    if burst is not None and traffic.bursts is not None:
        total = plain + burst
        errors = errors + rng.binomial(burst, traffic.bursts.failing)
    at = np.flatnonzero(total)
    bins, operation, pod = np.unravel_index(at, total.shape)
    row = np.repeat(np.arange(len(at)), plain.ravel()[at])
    seconds = _log_seconds(traffic, rng, latency, (bins[row], operation[row], pod[row]))
    if burst is not None and traffic.bursts is not None:
        more = np.repeat(np.arange(len(at)), burst.ravel()[at])
        slow = _log_seconds(traffic, rng, latency, (bins[more], operation[more], pod[more]))
        row = np.concatenate([row, more])
        order = np.argsort(row, kind="stable")
        row, seconds = row[order], np.concatenate([seconds, slow + np.log(traffic.bursts.slower)])[order]
    return _columns(traffic, (bins, operation, pod), total.ravel()[at], errors.ravel()[at], row, seconds, arm)


def _log_seconds(traffic: Traffic, rng: np.random.Generator, latency: Floats, where: tuple[Ints, Ints, Ints]) -> Floats:
    bins, operation, pod = where
    seconds = traffic.draw(rng, len(bins)) + latency[bins, pod]
    if traffic.spread is not None:
        seconds += traffic.spread[operation]
    if traffic.slower != 1.0:
        seconds += np.log(traffic.slower) * ((operation == 0) & (pod >= traffic.pods[0]))
    return seconds


def _bursts(traffic: Traffic, rng: np.random.Generator, shape: tuple[int, ...]) -> Ints | None:
    if traffic.bursts is None:
        return None
    bins, operations, pods = shape
    number = rng.poisson(traffic.bursts.per_hour * bins * BIN_S / 3600)
    out = np.zeros(shape, dtype=np.int64)
    # A pod is hit as often as it gets requests: the tenant's connection lands where others' do.
    parts = _part(traffic, bins)[:, 0, :] / np.array(traffic.pods)
    weight = np.repeat(parts, traffic.pods, axis=1).cumsum(axis=1)
    at = rng.integers(0, bins, number)
    pod = (rng.random(number)[:, None] * weight[at, -1:] > weight[at]).sum(axis=1)
    operation = rng.integers(0, operations, number)
    when = np.minimum(at[:, None] + rng.integers(0, 3, (number, traffic.bursts.size)), bins - 1)
    np.add.at(out, (when, operation[:, None], np.minimum(pod, pods - 1)[:, None]), 1)
    return out


WARM_UP_BINS = 12  # the product's default: durations of an instance count after two minutes


def _columns(
    traffic: Traffic, where: tuple[Ints, Ints, Ints], count: Ints, errors: Ints, row: Ints, seconds: Floats, arm: Ints
) -> tuple[Counts, Ints, Ints]:
    """The judge's columns: cells in the order of their bins, one bucket row per request; and all requests."""
    bins, operation, pod = where
    is_mature = (arm[pod] == 0) | (bins >= BASELINE_BINS + WARM_UP_BINS) | traffic.warmed
    index = np.ceil(seconds * (histogram.PER_OCTAVE / np.log(2))).astype(np.int64) - 1
    position = histogram.position(index)
    keep = is_mature[row]
    counts = Counts(
        arm=arm[pod],
        operation=operation,
        bin=bins,
        instance=pod,
        count=count,
        errors=errors,
        timed=np.where(is_mature, count, 0),
        bucket_row=row[keep],
        bucket_position=position[keep],
        bucket_count=np.ones(int(keep.sum()), dtype=np.int64),
        bins=BASELINE_BINS + traffic.bins,
    )
    return counts, row, position
