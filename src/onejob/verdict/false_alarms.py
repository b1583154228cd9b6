"""The share of deployments of nothing that were called worse, as the verdict carries it."""

from datetime import datetime

from onejob.model.verdict import FalseAlarms
from onejob.stats.binomial import proportion_interval


def rate_of(alarms: int, placebos: int, phi_factor: float, measured_at: datetime) -> FalseAlarms:
    """The rate with its exact 95 % interval; ZeroDivisionError for no placebos."""
    low, high = proportion_interval(alarms, placebos)
    return FalseAlarms(
        placebos=placebos,
        alarms=alarms,
        rate=alarms / placebos,
        low=low,
        high=high,
        phi_factor=phi_factor,
        measured_at=measured_at,
    )
