"""False alarms per deployment: each kind of harmless traffic, our judge beside its peers, on the same days."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.verdict import ours, workers
from bench.verdict.peers import rules
from bench.verdict.peers.series import series
from bench.verdict.results import Measure, Row, share
from bench.verdict.scenarios import harmless
from bench.verdict.traffic import Traffic, day

TARGET = 0.01
# An upper 95 % bound of 1 % needs 368 days without an alarm, 555 with one at most.
DAYS, DAYS_QUICK = 370, 1
PEER_DAYS = 20  # peers miss the target by so much that fewer days show it
# Their days are so much work, or say so much the same as another kind's, that the bound is left open.
OPEN_DAYS = {
    "iid, 1 pod of 10": 100,
    "AR(0.98) of each pod, 5 each": 100,
    "one tenant's bursts, 1 pod of 10": 100,
    "350 operations": 20,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether each judge called the day worse at any look."""

    ours: bool
    peers: dict[str, bool]


def one(traffic: Traffic, peers_below: int, seed: int) -> Outcome:
    """Judge the day of this seed."""
    drawn = day(traffic, seed)
    called = ours.first_worse(drawn) is not None
    if seed >= peers_below:
        return Outcome(called, {})
    seen = series(drawn)
    return Outcome(called, {name: peer(seen) is not None for name, peer in rules.PEERS.items()})


def rows(_: Path, quick: bool) -> list[Row]:
    """A row per kind of traffic and judge."""
    found = []
    kinds = harmless()
    assert OPEN_DAYS.keys() <= {traffic.name for traffic in kinds}
    for traffic in kinds:
        is_open = quick or traffic.name in OPEN_DAYS
        days = DAYS_QUICK if quick else OPEN_DAYS.get(traffic.name, DAYS)
        peer_days = min(days, PEER_DAYS)
        outcomes = workers.each(partial(one, traffic, peer_days), range(days))
        alarms = sum(outcome.ours for outcome in outcomes)
        row = share(Measure.FALSE_ALARMS, traffic.name, alarms, days)
        found.append(row if is_open else row.at_most(TARGET, surely=True))
        for name in rules.PEERS:
            alarms = sum(outcome.peers[name] for outcome in outcomes[:peer_days])
            found.append(share(Measure.FALSE_ALARMS, traffic.name, alarms, peer_days, who=name))
    return found
