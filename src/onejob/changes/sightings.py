"""Rollup rows as versions of a service: which label a build carries.

A label is `service.version`. The same version seen with another build (image digest, pod-template hash) is a change of
its own, labelled `version@build`: an unversioned `main` image, or a new configuration of the same code. But builds that
appear together are one version: images of two architectures have two digests.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from onejob.state.deployments import BUILD_SEPARATOR
from onejob.state.versions import KnownVersion
from onejob.store.rollup import VersionSeen

_SHORTEST_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A label that served entry traffic in [first_at, last_at]; `told_by` says what told it from others.

    `bins` is in how many bins it did: of several builds, the busiest one's.
    """

    label: str
    builds: tuple[str, ...]
    told_by: str
    first_at: datetime
    last_at: datetime
    bins: int
    count: int

    @property
    def rate_per_s(self) -> float:
        """Requests per second while it was seen; a short burst counts as all there was in five minutes."""
        return self.count / max((self.last_at - self.first_at).total_seconds(), _SHORTEST_S)


def by_service(seen: Iterable[VersionSeen], default_environment: str) -> dict[tuple[str, str], list[VersionSeen]]:
    """Rows of each (service, environment), those without anything that names a version left out.

    A NUL is refused by PostgreSQL and by every report, so a name that holds one can be no deployment's.
    """
    services: dict[tuple[str, str], list[VersionSeen]] = {}
    for row in sorted(seen, key=lambda row: row.first_bin):
        is_storable = "\x00" not in row.service + row.environment + row.version + row.build
        if row.version and row.service and is_storable:
            services.setdefault((row.service, row.environment or default_environment), []).append(row)
    return services


def sightings(
    rows: Iterable[VersionSeen], known: Iterable[KnownVersion], forming: Collection[str], together_s: float
) -> list[Sighting]:
    """Rows of one service as labels, first seen first. `forming` labels take new builds in whenever they appear."""
    labels = {version.label: version for version in map(_Label.of_known, known)}
    found: dict[str, Sighting] = {}
    for row in rows:
        label = _label_of(row, labels, forming, together_s)
        found[label.label] = _merged(found.get(label.label), row, label)
    return sorted(found.values(), key=lambda sighting: sighting.first_at)


@dataclass(slots=True)
class _Label:
    label: str
    builds: set[str]
    since: float

    @classmethod
    def of_known(cls, known: KnownVersion) -> "_Label":
        return cls(known.version, set(known.builds), known.first_seen_at.timestamp())


def _label_of(row: VersionSeen, labels: dict[str, _Label], forming: Collection[str], together_s: float) -> _Label:
    """The label of a row; a new one is added to `labels`."""
    build = row.build if row.build != row.version else ""
    plain = labels.setdefault(row.version, _Label(row.version, set(), row.first_bin))
    family = [label for name, label in labels.items() if name.startswith(row.version + BUILD_SEPARATOR)]
    for label in (*family, plain):
        if not build or build in label.builds:
            return label if build else plain
    for label in (*family, plain):
        if not label.builds or row.first_bin - label.since <= together_s or label.label in forming:
            label.builds.add(build)
            return label
    return labels.setdefault(
        f"{row.version}{BUILD_SEPARATOR}{build}",
        _Label(f"{row.version}{BUILD_SEPARATOR}{build}", {build}, row.first_bin),
    )


def _merged(found: Sighting | None, row: VersionSeen, label: _Label) -> Sighting:
    first_at, last_at = datetime.fromtimestamp(row.first_bin, UTC), datetime.fromtimestamp(row.last_bin, UTC)
    builds = tuple(sorted(label.builds))
    if found is None:
        return Sighting(
            label=label.label,
            builds=builds,
            told_by="build" if BUILD_SEPARATOR in label.label and label.label != row.version else row.version_source,
            first_at=first_at,
            last_at=last_at,
            bins=row.bins,
            count=row.count,
        )
    return replace(
        found,
        builds=builds,
        first_at=min(found.first_at, first_at),
        last_at=max(found.last_at, last_at),
        bins=max(found.bins, row.bins),
        count=found.count + row.count,
    )
