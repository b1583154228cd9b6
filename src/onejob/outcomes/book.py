"""What is named, where, and by whom: listed, added, changed and deleted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from onejob.config import Settings
from onejob.model.kpi import Kpi, Tolerance
from onejob.outcomes import warnings
from onejob.outcomes.errors import ConfiguredError, ContradictionError
from onejob.state.errors import ConflictError, NotFoundError
from onejob.state.ids import new_id
from onejob.state.outcomes import Stored, StoredOutcomes

T = TypeVar("T", Kpi, Tolerance)


class Origin(StrEnum):
    """Where it was named."""

    CONFIGURATION = "configuration"
    PAGE = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKpi:
    """`is_hidden`: the configuration has one of the same name, which holds instead."""

    kpi: Kpi
    origin: Origin
    is_hidden: bool = False
    changed_at: datetime | None = None
    changed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTolerance:
    """`id` is None of one of the configuration."""

    id: str | None
    tolerance: Tolerance
    origin: Origin
    changed_at: datetime | None = None
    changed_by: str | None = None


class Book:
    """Over the settings and the database."""

    def __init__(self, settings: Settings, stored: StoredOutcomes, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._stored = stored
        self._clock = clock

    def kpis(self) -> list[ListedKpi]:
        """Those of the configuration first."""
        configured = [ListedKpi(kpi=kpi, origin=Origin.CONFIGURATION) for kpi in self._settings.kpis]
        taken = {one.kpi.name for one in configured}
        return configured + [_listed(one, taken) for one in self._stored.kpis()]

    def kpi(self, name: str) -> ListedKpi:
        """The one that holds under this name; NotFoundError if there is none."""
        found = next((one for one in self.kpis() if one.kpi.name == name), None)
        if found is None:
            raise NotFoundError(f"There is no KPI {name[:100]!r}: GET /api/v1/kpis lists those there are.")
        return found

    def add_kpi(self, kpi: Kpi, by: str) -> ListedKpi:
        """ConflictError if its name is taken."""
        if any(one.name == kpi.name for one in self._settings.kpis):
            raise ConflictError(f"The configuration has a KPI {kpi.name!r}: choose another name.")
        self._stored.add(self._by(kpi.name, kpi, by))
        return self.kpi(kpi.name)

    def change_kpi(self, kpi: Kpi, by: str) -> ListedKpi:
        """Take the place of the one of its name. NotFoundError, ConfiguredError."""
        self._check_changeable(kpi.name)
        self._stored.change(self._by(kpi.name, kpi, by))
        return self.kpi(kpi.name)

    def remove_kpi(self, name: str) -> None:
        """NotFoundError, ConfiguredError."""
        self._check_changeable(name)
        self._stored.remove_kpi(name)

    def tolerances(self) -> list[ListedTolerance]:
        """In the order in which they hold: the first that fits."""
        named = [
            ListedTolerance(
                id=one.id,
                tolerance=one.told,
                origin=Origin.PAGE,
                changed_at=one.changed_at,
                changed_by=one.changed_by,
            )
            for one in self._stored.tolerances()
        ]
        configured = [
            ListedTolerance(id=None, tolerance=one, origin=Origin.CONFIGURATION) for one in self._settings.tolerances
        ]
        return named + configured

    def tolerance(self, tolerance_id: str) -> ListedTolerance:
        """NotFoundError if there is none."""
        found = next((one for one in self.tolerances() if one.id == tolerance_id), None)
        if found is None:
            raise NotFoundError(f"There is no tolerance {tolerance_id[:100]!r}: GET /api/v1/tolerances lists them.")
        return found

    def add_tolerance(self, tolerance: Tolerance, by: str) -> ListedTolerance:
        """Before all others."""
        stored = self._by(new_id("tol", self._clock()), tolerance, by)
        self._stored.add(stored)
        return self.tolerance(stored.id)

    def change_tolerance(self, tolerance_id: str, tolerance: Tolerance, by: str) -> ListedTolerance:
        """It keeps its place. NotFoundError."""
        self.tolerance(tolerance_id)
        self._stored.change(self._by(tolerance_id, tolerance, by))
        return self.tolerance(tolerance_id)

    def remove_tolerance(self, tolerance_id: str) -> None:
        """NotFoundError."""
        self.tolerance(tolerance_id)
        self._stored.remove_tolerance(tolerance_id)

    def _check_changeable(self, name: str) -> None:
        """One that the configuration hides may go as well."""
        if not any(one.kpi.name == name and one.origin is Origin.PAGE for one in self.kpis()):
            self.kpi(name)
            raise ConfiguredError(f"The KPI {name!r} is in the configuration (ONEJOB_KPIS): change it there.")

    def _by(self, key: str, told: T, by: str) -> Stored[T]:
        return Stored(id=key, told=told, changed_at=self._clock(), changed_by=by)


def _listed(one: Stored[Kpi], taken: set[str]) -> ListedKpi:
    return ListedKpi(
        kpi=one.told,
        origin=Origin.PAGE,
        is_hidden=one.id in taken,
        changed_at=one.changed_at,
        changed_by=one.changed_by,
    )


def made_kpi(values: Mapping[str, Any]) -> Kpi:
    """ContradictionError says what is wrong with it."""
    kpi = _made(Kpi, values)
    if small := warnings.too_small(kpi):
        raise ContradictionError(f"{small}: tolerate that much, or take a share or a mean of spans (yes_no, mean).")
    return kpi


def made_tolerance(values: Mapping[str, Any]) -> Tolerance:
    """ContradictionError says what is wrong with it."""
    return _made(Tolerance, values)


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    try:
        return kind(**values)
    except OverflowError as error:
        raise ContradictionError("The tolerance is too large a number.") from error
    except ValueError as error:
        raise ContradictionError(f"{error}.") from error


def said_of(told: Kpi | Tolerance) -> str:
    """For the audit log."""
    if isinstance(told, Tolerance):
        return f"{told.signal} {told.tolerance:g} for {told.service}"
    return f"{told.kind} of {told.metric or told.event or told.attribute} for {told.service}, {told.direction}"
