"""What the server offers of its past: backtests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from onejob.history.backtest import Period
from onejob.history.jobs import Job, Jobs
from onejob.model.backtest import Backtest
from onejob.state.backtests import Backtests
from onejob.state.codec import iso, unpack
from onejob.state.ids import new_id


@dataclass(frozen=True, slots=True)
class History:
    """The use cases."""

    jobs: Jobs
    backtests: Backtests
    clock: Callable[[], datetime]

    def start_backtest(self, since: datetime, until: datetime | None = None, services: tuple[str, ...] = ()) -> Job:
        """Judge the deployments of the past. Its report has the job's id."""
        now = self.clock()
        end = min(until, now) if until is not None else now
        Period(since=since, until=end)
        job = Job(id=new_id("bkt", now), kind="backtest", started_at=now)
        request = {"since": iso(since), "until": iso(end), "services": list(services)}
        return self.jobs.start(job, request, lambda body: self.backtests.add(unpack(Backtest, body)))
