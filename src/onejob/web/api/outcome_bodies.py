"""What the API is sent about KPIs and tolerances."""

from typing import Any

from pydantic import Field, StrictBool, StrictInt, StrictStr

from onejob.model.kpi import EVERY_S, Direction, KpiKind, KpiSource
from onejob.web.api.requests import Body, Number

MOST_CHARS = 200


def _text(description: str, default: str = "") -> Any:
    return Field(default, max_length=MOST_CHARS, description=description)


class KpiBody(Body):
    """A KPI, as in `ONEJOB_KPIS`."""

    name: StrictStr = Field(max_length=64, description="What rows and sentences call it.", examples=["revenue"])
    kind: KpiKind
    direction: Direction
    source: KpiSource = KpiSource.SPAN_ATTRIBUTE
    attribute: StrictStr = _text("What holds the value; of a metric, the attribute by which its points are chosen.")
    event: StrictStr = _text("The event's name, of source `event`.")
    service: StrictStr = _text("Glob of the services it is for.", "*")
    operation: StrictStr = _text("Glob of the operations it is read from.", "*")
    unit: StrictStr = Field("", max_length=20, description="How its values are written.", examples=["EUR"])
    tolerance: Number = Field(0.02, description="What may be lost, relative to the old version.")
    guardrail: StrictBool = Field(False, description="Whether it can make a deployment worse.")
    per_instance: StrictBool = Field(False, description="Whether its value belongs to the process.")
    metric: StrictStr = _text("The metric's name, of source `metric`.")
    equals: StrictStr = _text("What `attribute` must be, of a metric.")
    every_s: StrictInt = Field(EVERY_S, description="How many seconds points of a metric are apart.")

    def values(self) -> dict[str, Any]:
        """For the model."""
        return {name: getattr(self, name) for name in KpiBody.model_fields}


class PreviewBody(KpiBody):
    """A KPI to be looked at, and where."""

    name: StrictStr = Field("preview", max_length=64, description="As it will be called.")
    environment: StrictStr | None = Field(
        None, max_length=MOST_CHARS, description="As `deployment.environment.name`; else the server's default."
    )


class ToleranceBody(Body):
    """A tolerance, as in `ONEJOB_TOLERANCES`."""

    signal: StrictStr = Field(max_length=64, examples=["latency_p95"])
    tolerance: Number = Field(description="A ratio above 1 for latency; a difference above 0 for errors.")
    service: StrictStr = _text("Glob of the services it is for.", "*")
    operation: StrictStr = _text("Glob of their operations.", "*")
