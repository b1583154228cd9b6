"""How often onejob would have called a harmless deployment of this very service worse, measured on its own past."""

from dataclasses import dataclass
from datetime import datetime

from onejob.model.evidence import SignalHistory
from onejob.model.verdict import FalseAlarms


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What placebo deployments of a service in [since, until) showed.

    A placebo deployment compares instances of one version with each other for `placebo_s` seconds, as if some of them
    had a new one. `false_alarms` were measured with `phi_factor` and `history` in place, on other placebos than those
    that chose the factor. None where nothing could be measured; `note` then says why, and what could be.
    """

    service: str
    environment: str
    measured_at: datetime
    since: datetime
    until: datetime
    placebo_s: float
    target: float
    phi_factor: float = 1.0
    false_alarms: FalseAlarms | None = None
    history: tuple[SignalHistory, ...] = ()
    note: str = ""
    took_s: float = 0.0
