"""What the API is sent. Ranges and meanings are checked by the use cases; here are names and types."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from onejob.changes.reported import Progress, Report
from onejob.model.deployment import Status, Strategy
from onejob.model.rollout import Mode

Time = Annotated[
    StrictStr | StrictInt | StrictFloat,
    Field(
        description="ISO 8601; a number is read as Unix seconds, milliseconds, microseconds or nanoseconds, by size."
    ),
]
Number = StrictFloat | StrictInt


class Body(BaseModel):
    """Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class StartBody(Body):
    """A version starts to be deployed."""

    service: StrictStr = Field(description="As `service.name` in its telemetry.", examples=["checkout"])
    version: StrictStr = Field(description="As `service.version` in its telemetry.", examples=["1.42.0"])
    environment: StrictStr | None = Field(
        None, description="As `deployment.environment.name`; else the server's default."
    )
    previous_version: StrictStr | None = Field(None, description="What it replaces; else what serves now.")
    strategy: Strategy | None = Field(None, description="How traffic moves; `rolling` unless said.")
    commit: StrictStr | None = None
    repository: StrictStr | None = None
    actor: StrictStr | None = Field(None, description="Who, or which pipeline.")
    url: StrictStr | None = Field(None, description="Link to the pipeline's run.")
    started_at: Time | None = Field(None, description="When traffic is first sent to it; now unless said.")
    finished_at: Time | None = None
    traffic_share: Number | None = Field(None, description="Share of the traffic it gets now, 0..1.")

    def report(self) -> Report:
        """For the use case."""
        return Report(**{name: getattr(self, name) for name in type(self).model_fields})


class ProgressBody(Body):
    """How a deployment goes on. Fields left out stay as they are."""

    status: Status | None = None
    traffic_share: Number | None = Field(None, description="Share of the traffic it gets now, 0..1.")
    finished_at: Time | None = None
    previous_version: StrictStr | None = None
    commit: StrictStr | None = None
    repository: StrictStr | None = None
    actor: StrictStr | None = None
    url: StrictStr | None = None

    def progress(self) -> Progress:
        """For the use case."""
        return Progress(**{name: getattr(self, name) for name in type(self).model_fields})


class BacktestBody(Body):
    """Which past to judge again."""

    since: Time | None = Field(None, description="Deployments that started at or after; 30 days ago unless said.")
    until: Time | None = Field(None, description="... and before; now unless said.")
    services: list[StrictStr] = Field([], max_length=1000, description="Only these; all unless said.")


class CalibrationBody(Body):
    """Which service to calibrate."""

    service: StrictStr = Field(description="As `service.name` in its telemetry.", examples=["checkout"])
    environment: StrictStr | None = Field(
        None, description="As `deployment.environment.name`; else the server's default."
    )


class StepBody(Body):
    """One step of a rollout; limits and timeout have defaults that depend on the share."""

    model_config = ConfigDict(allow_inf_nan=True)  # refused with the range it must be in, as numbers beyond it are

    share: Number = Field(description="Share of the traffic, 0..1.")
    hold_s: Number = Field(description="How long to stay, in seconds.")
    error_limit: Number | None = Field(None, description="Rise of the error rate to be excluded: 0.3 is +30 points.")
    latency_limit: Number | None = Field(None, description="Ratio of the latency to be excluded: 3 is three times.")
    timeout_s: Number | None = None


class RolloutBody(Body):
    """A rollout of a deployment that is reported already."""

    deployment_id: StrictStr
    driver: StrictStr = Field(examples=["envoy"])
    settings: dict[StrictStr, StrictStr | StrictInt | StrictFloat | StrictBool] = Field(
        default_factory=dict, description="The driver's own settings, without secrets."
    )
    steps: list[StepBody] | None = None
    mode: Mode | None = None
    on_timeout: Literal["pause", "abort", "promote"] = "pause"
    force: StrictBool = Field(False, description="Ship a version even though it was judged worse before.")


class ReplayBody(Body):
    """Which dead letters; all unless said."""

    ids: list[StrictInt] | None = Field(None, max_length=1000)


class ResolveBody(Body):
    """Who says that an error is gone, and since which version; the newest unless said."""

    actor: StrictStr | None = Field(None, max_length=200)
    version: StrictStr | None = Field(None, description="Seen again in an older one, it stays resolved.")
    in_next_version: StrictBool = Field(False, description="In whichever version begins to serve after now.")


class ReopenBody(Body):
    """Who says so."""

    actor: StrictStr | None = Field(None, max_length=200)


class CommandBody(Body):
    """Who says so."""

    actor: StrictStr | None = Field(None, max_length=200)
    router_is_gone: StrictBool = Field(
        False,
        description="With `abort` only, and while the router does not answer: end the rollout without it, for good.",
    )


class ComplaintBody(Body):
    """What a customer complained about, and when."""

    customer: StrictStr = Field(description="As its telemetry names it.", examples=["acme"])
    summary: StrictStr | None = Field(None, max_length=20_000, description="In one line; the first 500 characters.")
    text: StrictStr | None = Field(None, max_length=20_000, description="Instead of a summary.")
    at: Time | None = Field(None, description="When the customer said so; now unless said.")
    external_id: StrictStr | None = Field(
        None, description="The ticket's, where it is kept: the same one again is the same complaint.", examples=["T-17"]
    )
    source: StrictStr | None = Field(None, description="Where it is kept; `api` unless said.", examples=["zendesk"])
    url: StrictStr | None = Field(None, description="Link to the ticket.")
    service: StrictStr | None = Field(None, description="The service that it is about, if that is known.")
    closed: StrictBool = Field(False, description="Whether it is dealt with.")


class ForgetBody(Body):
    """Whose telemetry is to be deleted."""

    attribute: StrictStr = Field(min_length=1, max_length=200, examples=["enduser.id"])
    value: StrictStr = Field(min_length=1, max_length=10_000, description="The whole value, as it was sent.")
    actor: StrictStr | None = Field(None, max_length=200, description="Who asks; for the log.")
