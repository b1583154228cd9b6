"""Services that a deployment does not touch and that share its fate otherwise: controls for a comparison with the past.

Problem: what happens to the whole fleet a minute after a deployment looks like that deployment's damage. Solution:
services beside it tell, but only such as it cannot have hurt: none that calls it, directly or through others, none that
it calls, and none that was deployed itself in the two hours before. Who calls whom is seen in traces; where there are
none, nobody is known to be untouched.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from onejob.model.deployment import Deployment
from onejob.model.evidence import Cell, ControlCell, ControlService
from onejob.stats.controls import FEWEST
from onejob.stats.expectation import LEVEL_S
from onejob.store.engine import Reader, Scalar
from onejob.store.errors import StoreError
from onejob.store.rollup import VersionSeen, environment_filter, versions_seen

log = logging.getLogger(__name__)

MOST = 4  # as many series again are read for each, and the median of four bears one that is in trouble itself
_LEAST_REQUESTS = 120  # in two hours: one a minute
_TRACES, _TRACES_S = 2_000, 1_800
_TIMEOUT_S = 10.0  # a tick's: other deployments wait meanwhile
_KIN = resources.files("onejob.verdict").joinpath("queries/kin.sql").read_text()


@dataclass(frozen=True, slots=True)
class Untouched:
    """A service and the only version of it that served in the two hours before."""

    service: str
    version: str


def find(engine: Reader, deployment: Deployment, *, default_environment: str) -> list[Untouched]:
    """The busiest of them, at most `MOST`; none where they are too few to say anything, or the engine does not tell:
    the past alone says much.
    """
    until = int(deployment.started_at.timestamp())
    environments = {deployment.environment, environment_filter(deployment.environment, default_environment)}
    try:
        seen = versions_seen(engine, since=until - LEVEL_S, until=until, timeout_s=_TIMEOUT_S)
        there = steady(row for row in seen if row.environment in environments and row.service != deployment.service)
        related = kin(_edges(engine, deployment.service, until), deployment.service) if there else None
    except StoreError as error:  # out of time too, as it would be at every further try
        log.warning("%s is compared with its own past alone: %s", deployment.service, error)
        return []
    found = [] if related is None else [one for one in there if one.service not in related][:MOST]
    return found if len(found) >= FEWEST else []


def steady(seen: Iterable[VersionSeen]) -> list[Untouched]:
    """Services with requests enough, of one version all the time; the busiest first."""
    counts: dict[str, dict[str, int]] = {}
    for row in seen:
        of_service = counts.setdefault(row.service, {})
        of_service[label(row.version, row.build)] = of_service.get(label(row.version, row.build), 0) + row.count
    found = [(sum(of.values()), name, next(iter(of))) for name, of in counts.items() if len(of) == 1]
    return [Untouched(name, version) for n, name, version in sorted(found, reverse=True) if n >= _LEAST_REQUESTS]


def kin(edges: Sequence[tuple[str, str]], service: str) -> set[str] | None:
    """Whom `service` calls and who calls it, directly or through others; None where no trace tells.

    `edges` are (caller, called), with '' for no caller.
    """
    if not edges:
        return None
    down = _reached({(a, b) for a, b in edges if a}, service)
    up = _reached({(b, a) for a, b in edges if a}, service)
    return down | up


def tally(known: ControlService, cells: Iterable[Cell]) -> list[ControlCell]:
    """The service's requests of all operations and instances, per version and bin."""
    found: dict[tuple[str, int], list[float]] = {}
    for cell in cells:
        sums = found.setdefault((label(cell.version, cell.build), cell.bin_start), [0.0] * 6)
        values = [cell.stands_for[0], cell.count, cell.errors, *_durations(cell, known.edges.get(cell.operation))]
        sums[:] = [a + b for a, b in zip(sums, values, strict=True)]
    return [
        ControlCell(
            service=known.service,
            version=version,
            bin_start=bin_start,
            requests=sums[0],
            spans=int(sums[1]),
            failed=int(sums[2]),
            timed=int(sums[3]),
            slower_p50=int(sums[4]),
            slower_p95=int(sums[5]),
        )
        for (version, bin_start), sums in sorted(found.items())
    ]


def label(version: str, build: str) -> str:
    """A version, told from others by its build too."""
    return f"{version}@{build}" if build else version


def _durations(cell: Cell, edges: Sequence[int] | None) -> tuple[int, int, int]:
    if edges is None:
        return 0, 0, 0
    p50, p95 = (sum(count for index, count in cell.buckets.items() if index > edge) for edge in edges)
    return cell.count, p50, p95


def _edges(engine: Reader, service: str, until: int) -> list[tuple[str, str]]:
    params: dict[str, Scalar] = {
        "service": service,
        "since_ns": (until - _TRACES_S) * 10**9,
        "until_ns": until * 10**9,
        "most": _TRACES,
    }
    table = engine.query(_KIN, params, timeout_s=_TIMEOUT_S)
    return list(zip(table["Caller"].to_pylist(), table["Called"].to_pylist(), strict=True))


def _reached(steps: set[tuple[str, str]], start: str) -> set[str]:
    found: set[str] = set()
    frontier = {start}
    while frontier:
        frontier = {b for a, b in steps if a in frontier} - found - {start}
        found |= frontier
    return found
