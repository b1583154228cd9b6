"""How often the right one of two overlapping deployments is named: generated requests, whose guilty one is known.

`make bench-overlap`. A service and one that it calls deploy within a minute; each row is one way of doing so. *named*:
the guilty one is first, separated from the other, and likelier than not. *open*: the two are not separable, or neither
fits. *wrong*: the other one is first, separated, and likelier than not. Where both were replaced in the same second, or
something else did it, only *open* is right.
"""

from collections import Counter
from datetime import UTC, datetime

import numpy as np

from onejob.explain.edges import Kinship
from onejob.explain.overlap import Candidate, Outcomes, rank
from onejob.explain.tables import Floats
from onejob.model.explanation import LIKELY, Relation

RUNS = 200
SECONDS = 300
SOMETHING_ELSE = 115.0  # seconds: when that begins to hurt requests, whatever versions they go through
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WAYS = {  # shares of the judged and of the called service's new version, and when each begins
    "two canaries, 10 % and 10 %": ((0.1, 100.0), (0.1, 130.0)),
    "a canary of 10 %, the called one all at once": ((0.1, 100.0), (1.0, 130.0)),
    "all at once, 30 s apart": ((1.0, 100.0), (1.0, 130.0)),
    "all at once, 2 s apart": ((1.0, 100.0), (1.0, 102.0)),
    "all at once, in the same second": ((1.0, 100.0), (1.0, 100.0)),
}


def main() -> None:
    """The table, as Markdown."""
    print("| deployed | guilty | requests/s | guilty fail | noise | named | open | wrong |")
    print("|---|---|---|---|---|---|---|---|")
    for way, (mine, theirs) in WAYS.items():
        for is_one in (True, False):
            for per_s, excess, drift in ((5, 0.1, 0.0), (50, 0.02, 0.0), (50, 0.1, 0.0), (50, 0.1, 0.5)):
                found = Counter(_run(seed, mine, theirs, is_one, per_s, excess, drift) for seed in range(RUNS))
                shares = " | ".join(f"{100 * found[one] / RUNS:.1f} %" for one in ("named", "open", "wrong"))
                guilty, noise = "one" if is_one else "something else", "AR(0.9)" if drift else "none"
                print(f"| {way} | {guilty} | {per_s} | +{100 * excess:.0f} % | {noise} | {shares} |", flush=True)


def _run(
    seed: int,
    mine: tuple[float, float],
    theirs: tuple[float, float],
    is_one: bool,
    per_s: int,
    excess: float,
    drift: float,
) -> str:
    chance = np.random.default_rng(seed)
    at_s = np.sort(chance.uniform(0, SECONDS, chance.poisson(SECONDS * per_s)))
    exposed = [(chance.random(len(at_s)) < share) & (at_s >= since) for share, since in (mine, theirs)]
    guilty = int(chance.integers(2))
    base = 0.01 * np.exp(drift * _remembering(chance))[at_s.astype(np.int64)]
    hurt = exposed[guilty] if is_one else at_s >= SOMETHING_ELSE
    bad = chance.random(len(at_s)) < base + excess * hurt
    relations = (Kinship(Relation.ITSELF, 0), Kinship(Relation.CALLED, 1))
    candidates = [
        Candidate(deployment_id=str(n), service=str(n), version="2", began_at=NOON, kinship=kinship, exposed=exposed[n])
        for n, kinship in enumerate(relations)
    ]
    first = rank(candidates, Outcomes(at_s=at_s, weight=np.ones(len(at_s)), bad=(bad,)))[0]
    if first.alike or first.posterior < LIKELY:
        return "open"
    return "named" if is_one and first.candidate.deployment_id == str(guilty) else "wrong"


def _remembering(chance: np.random.Generator) -> Floats:
    """Noise of each second that keeps nine tenths of the second before, of standard deviation 1."""
    noise = chance.normal(size=SECONDS)
    for second in range(1, SECONDS):
        noise[second] = 0.9 * noise[second - 1] + np.sqrt(1 - 0.81) * noise[second]
    return noise


if __name__ == "__main__":
    main()
