"""What a signal of an operation may change by: what a team said of it, else the tolerance of its kind."""

from onejob.model.evidence import JudgeSettings
from onejob.model.kpi import matches


def told(settings: JudgeSettings, signal: str, operation: str) -> float | None:
    """The first tolerance given for the signal and the operation; None when there is none."""
    fitting = (t.tolerance for t in settings.tolerances if t.signal == signal and matches(t.operation, operation))
    return next(fitting, None)


def of_errors(settings: JudgeSettings, signal: str, operation: str, control: float | None) -> float:
    """The larger of a difference and of a ratio to control's rate, unless the operation has one of its own."""
    own = told(settings, signal, operation)
    if own is not None:
        return own
    return max(settings.tolerance_errors, (settings.tolerance_errors_ratio - 1) * (control or 0.0))


def of_latency(settings: JudgeSettings, signal: str, operation: str) -> float:
    """A ratio above 1."""
    own = told(settings, signal, operation)
    if own is not None:
        return own
    return settings.tolerance_p50 if signal == "latency_p50" else settings.tolerance_tail
