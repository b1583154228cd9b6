"""What the server offers of its past: backtests, calibrations, and a calibration of each service a day."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from onejob.config import Settings
from onejob.history.backtest import Period
from onejob.history.errors import HistoryBusyError
from onejob.history.jobs import Job, Jobs
from onejob.model.backtest import Backtest
from onejob.model.calibration import Calibration
from onejob.state.backtests import Backtests
from onejob.state.calibrations import Calibrations
from onejob.state.codec import iso, unpack
from onejob.state.errors import StateError
from onejob.state.ids import new_id
from onejob.state.leases import Leases
from onejob.store.errors import StoreError

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=30)
_AGE = timedelta(days=1)
_LEASE = "calibrate"
_LEASE_S = 3600.0
_EVERY_S = 600.0
_FIRST_S = 60.0  # the server has enough to do when it starts

Places = Callable[[datetime, datetime], list[tuple[str, str]]]  # (service, environment) that served in a time


@dataclass(frozen=True, slots=True)
class History:
    """The use cases."""

    jobs: Jobs
    backtests: Backtests
    calibrations: Calibrations
    settings: Settings
    clock: Callable[[], datetime]

    def start_backtest(self, since: datetime, until: datetime | None = None, services: tuple[str, ...] = ()) -> Job:
        """Judge the deployments of the past. Its report has the job's id."""
        now = self.clock()
        end = min(until, now) if until is not None else now
        Period(since=since, until=end)
        job = Job(id=new_id("bkt", now), kind="backtest", started_at=now)
        request = {"since": iso(since), "until": iso(end), "services": list(services)}
        read = self.backtests.as_of()
        return self.jobs.start(job, request, lambda body: self.backtests.add(unpack(Backtest, body), read))

    def start_calibration(self, service: str, environment: str | None = None) -> Job:
        """Measure a service's false alarms on its last 30 days."""
        now = self.clock()
        job = Job(id=new_id("cal", now), kind="calibration", started_at=now, what=service)
        request = {
            "since": iso(now - LOOK_BACK),
            "until": iso(now),
            "service": service,
            "environment": environment or self.settings.default_environment,
            "placebos": self.settings.calibrate_placebos,
        }
        return self.jobs.start(job, request, lambda body: self.calibrations.save(unpack(Calibration, body)))


class DailyCalibration:
    """A thread that calibrates every service once a day, one after the other. Of several servers, one does."""

    def __init__(
        self, history: History, places: Places, leases: Leases, holder: str, clock: Callable[[], datetime]
    ) -> None:
        self._history = history
        self._places = places
        self._leases = leases
        self._holder = holder
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="calibrate", daemon=True)

    def start(self) -> None:
        """Begin, a minute from now."""
        self._thread.start()

    def stop(self) -> None:
        """Start no further one."""
        self._stopping.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        wait_s = _FIRST_S
        while not self._stopping.wait(wait_s):
            wait_s = _EVERY_S
            try:
                self.calibrate_due()
            except (StoreError, StateError) as error:
                log.warning("cannot calibrate now: %s", error)

    def calibrate_due(self) -> list[str]:
        """Calibrate what was not within a day; returns the services that were."""
        done = []
        for service, environment in self._due():
            if self._stopping.is_set() or not self._leases.acquire(_LEASE, self._holder, _LEASE_S):
                break
            try:
                self._history.start_calibration(service, environment)
            except HistoryBusyError:
                break  # somebody asked for a replay: what is due is due still in ten minutes
            self._history.jobs.wait()
            done.append(service)
        return done

    def _due(self) -> Iterator[tuple[str, str]]:
        now = self._clock()
        for place in self._places(now - _AGE, now):
            known = self._history.calibrations.get(*place)
            if known is None or now - known.measured_at > _AGE:
                yield place
