"""What can be wrong with what people name."""


class OutcomeError(Exception):
    """Anything about KPIs and tolerances."""


class ContradictionError(OutcomeError):
    """It contradicts itself; the message says how, and what to do."""


class ConfiguredError(OutcomeError):
    """It is in the configuration, and is changed there."""


class NoTelemetryError(OutcomeError):
    """Nothing can be said of it, as no service that it is for has sent anything."""
