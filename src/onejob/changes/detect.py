"""Deployments seen in telemetry alone: a version that did not serve before, or one that had gone and comes back.

    rollup rows -> labels -> new to the service?  -> a deployment (not the first look at a service: a baseline)
                          -> known, gone, is back? -> it may have been replaced meanwhile: `returns.py` finds out
                          -> known                 -> still serving: a restart, a scale-up, or nothing at all

Pure: everything known comes in, everything found goes out.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from onejob.changes.lineage import serving_now
from onejob.changes.sightings import Sighting, by_service, sightings
from onejob.state.versions import KnownVersion
from onejob.store.rollup import VersionSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long is long, in seconds.

    `quiet_s`: a version not seen this long may have gone; no look may be longer, or it hides the gap.
    `together_s`: what appears within this time of a service's first sight (or a version's) belongs to it.
    """

    bin_s: int
    quiet_s: float
    together_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A version began to serve. `is_return`: it had before; `is_old` then says that it is older than `previous`.

    `gone_since` is when a returning version was last seen before; `is_concurrent`: the previous one serves still.
    """

    service: str
    environment: str
    version: str
    builds: tuple[str, ...]
    at: datetime
    told_by: str
    previous: str | None
    is_concurrent: bool
    is_return: bool = False
    is_old: bool = False
    gone_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reappearance:
    """A known version that was not seen for a while and is again: `before` is how it was known until then."""

    before: KnownVersion
    sighting: Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a look found: new versions, versions that are back, and every version as it is known from now on."""

    starts: tuple[Start, ...]
    back: tuple[Reappearance, ...]
    versions: tuple[KnownVersion, ...]


Place = tuple[str, str]  # service, environment


def detect(
    known: Iterable[KnownVersion],
    seen: Iterable[VersionSeen],
    *,
    default_environment: str,
    timing: Timing,
    forming: Mapping[Place, Collection[str]] | None = None,
) -> Findings:
    """Compare what serves with what is known. `forming` names labels whose reported deployment is under way."""
    known_at: dict[Place, list[KnownVersion]] = {}
    for version in known:
        known_at.setdefault((version.service, version.environment), []).append(version)
    starts: list[Start] = []
    back: list[Reappearance] = []
    versions: list[KnownVersion] = []
    for place, rows in by_service(seen, default_environment).items():
        here = known_at.get(place, [])
        found = sightings(rows, here, (forming or {}).get(place, ()), timing.together_s)
        starts += _starts(place, here, found, timing)
        back += _back(here, found, timing)
        versions += [_known_now(place, here, sighting) for sighting in found]
    return Findings(starts=tuple(starts), back=tuple(back), versions=tuple(versions))


def _starts(place: Place, known: list[KnownVersion], found: list[Sighting], timing: Timing) -> list[Start]:
    first_look = min([version.first_seen_at for version in known] + [sighting.first_at for sighting in found])
    baseline_until = first_look + timedelta(seconds=timing.together_s)
    labels = {version.version for version in known}
    new = (sighting for sighting in found if sighting.label not in labels)
    return [_new(place, known, sighting, found) for sighting in new if sighting.first_at > baseline_until]


def _back(known: list[KnownVersion], found: list[Sighting], timing: Timing) -> list[Reappearance]:
    by_label = {version.version: version for version in known}
    pairs = ((by_label[sighting.label], sighting) for sighting in found if sighting.label in by_label)
    return [
        Reappearance(before=before, sighting=sighting)
        for before, sighting in pairs
        if (sighting.first_at - before.last_seen_at).total_seconds() >= timing.quiet_s
    ]


def _new(place: Place, known: list[KnownVersion], sighting: Sighting, found: list[Sighting]) -> Start:
    earlier = [_known_now(place, known, other) for other in found if other.first_at < sighting.first_at]
    candidates = {version.version: version for version in (*known, *earlier) if version.version != sighting.label}
    previous = serving_now(list(candidates.values()))
    return Start(
        service=place[0],
        environment=place[1],
        version=sighting.label,
        builds=sighting.builds,
        at=sighting.first_at,
        told_by=sighting.told_by,
        previous=previous.version if previous else None,
        is_concurrent=previous is not None and _serves(previous.version, found),
    )


def _serves(label: str, found: list[Sighting]) -> bool:
    """Seen in the same look: spans of two versions arrive with delays of their own, so their bins need not meet yet."""
    return any(sighting.label == label for sighting in found)


def _known_now(place: Place, known: list[KnownVersion], sighting: Sighting) -> KnownVersion:
    before = next((version for version in known if version.version == sighting.label), None)
    if before is None:
        return KnownVersion(
            service=place[0],
            environment=place[1],
            version=sighting.label,
            builds=sighting.builds,
            first_seen_at=sighting.first_at,
            last_seen_at=sighting.last_at,
            rate_per_s=sighting.rate_per_s,
        )
    return replace(
        before,
        builds=sighting.builds,
        first_seen_at=min(before.first_seen_at, sighting.first_at),
        last_seen_at=max(before.last_seen_at, sighting.last_at),
        rate_per_s=sighting.rate_per_s,
    )
