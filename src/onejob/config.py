"""Every setting of the server, in one place, read nowhere else.

Each field is an environment variable with the prefix `ONEJOB_` (`ONEJOB_DATA_DIR=/var/lib/onejob`); the page
`docs/configuration.md` is generated from this file.
"""

import base64
import re
from collections import Counter
from dataclasses import fields
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from onejob.model.access import Role
from onejob.model.kpi import Kpi, Tolerance
from onejob.model.project import PROJECT_NAME
from onejob.model.redaction import RedactionRule
from onejob.model.scrape import ScrapeTarget
from onejob.regexes import check_regex

Seconds = Annotated[float, Field(gt=0, le=1e9)]

# The engine's dates end in 2106: a time plus more days than this leaves them, and everything would expire at once.
_MOST_DAYS = 3650
# Storing 40,000 spans of the usual size takes between 96 and 128 MiB (measured); with less nothing is ever stored.
_LEAST_ENGINE_MEMORY_BYTES = 256 * 2**20
_KEY_BYTES = 32  # AES-256


_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:]+\])(?::(?P<port>[0-9]{1,5}))?/?")
# A proxy may pass on the path it shows the server at, or not; at one of these nobody could tell which.
OWN_ADDRESSES = frozenset(
    (
        "account", "api", "audit", "backtest", "customers", "deployments", "errors", "events",
        "healthz", "login", "logout", "metrics", "openapi", "p", "readyz", "settings", "static", "theme", "welcome",
    )
)  # fmt: skip
_TICKET_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*(:\S*)?")


class Settings(BaseSettings):
    """Settings of `onejob serve`."""

    model_config = SettingsConfigDict(env_prefix="ONEJOB_", extra="ignore", env_ignore_empty=True, allow_inf_nan=False)

    data_dir: Path = Field(Path("./onejob-data"), description="Where the spool, the embedded stores and the lock are.")
    listen_host: str = Field(
        "127.0.0.1",
        description="Address all ports listen on. On any but loopback, pages and API want a [login](security.md).",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Names under which the pages and the API are reached through a proxy, as a JSON list. A server on "
        "loopback answers to `localhost` and to addresses only, unless its name is here; one that listens elsewhere "
        "answers to all names until there are some here.",
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#\s@]+(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$",
        description="Where people reach the pages through a proxy, as `https://onejob.example`, or below a path as "
        "`https://tools.example/onejob`, which the proxy may pass on or [cut off](deploying.md).",
    )
    login: Literal["auto", "always", "off"] = Field(
        "auto",
        description="Whether pages and API want a login. `auto` is no only for a server that listens on loopback "
        "and has no public address and no allowed hosts. `off` is for one on loopback behind a proxy that has a login "
        "itself.",
    )
    session_idle_hours: float = Field(12, gt=0, le=8760, description="Time without a request that ends a session.")
    session_max_hours: float = Field(
        168, gt=0, le=8760, description="Time after which a session ends however much it was used."
    )
    require_second_factor: Literal["off", "admins", "all"] = Field(
        "off",
        description="Who must have a [second factor](security.md#a-second-factor), if they log in by password; whoever "
        "has none sets one up before anything else. Everybody may have one.",
    )
    secret_key: SecretStr | None = Field(
        None,
        description="32 random bytes in base64 (`openssl rand -base64 32`) that encrypt the secrets of second factors "
        "in the state database; the same for all servers of one. To change it, put the new one before the old one, "
        "with a comma between.",
    )
    breached_passwords: FilePath | None = Field(
        None,
        description="File of [passwords that were in a breach](security.md#passwords), which nobody may choose: lines "
        "`SHA1:COUNT`, sorted, as haveibeenpwned.com offers them.",
    )
    requests_per_minute: int = Field(
        1_200,
        gt=0,
        le=10**6,
        description="Requests to pages and API that one user, or one API token, may send a minute, at each server; "
        "beyond them the answer is 429 with when to come back. Who needs no login is not limited.",
    )
    requests_burst: int = Field(
        300, gt=0, le=10**6, description="How many of them may come at once, after a while without any."
    )
    require_ingest_tokens: bool = Field(
        False,
        description="Whether telemetry is taken only with an ingest token (`onejob token create --ingest`), sent as "
        "`authorization: Bearer ...`.",
    )
    oidc_issuer: str | None = Field(
        None,
        pattern=r"^https?://[^?#\s@]+$",
        description="OpenID provider that people log in with; asked at its `/.well-known/openid-configuration`.",
    )
    oidc_client_id: str = Field("onejob", description="How the provider knows this server.")
    oidc_client_secret: SecretStr | None = Field(None, description="... and by which secret, if it wants one.")
    oidc_scopes: str = Field("openid profile email", description="What the provider is asked to tell.")
    oidc_role_claim: str = Field("groups", description="Claim of the ID token that says what somebody may do.")
    oidc_roles: dict[str, Role] = Field(
        {},
        description="Role for each value of that claim, as JSON such as "
        '`{"onejob-admins": "admin", "engineering": "developer"}`; of several, the one that may do most.',
    )
    oidc_default_role: Role | None = Field(
        None, description="Role of those with none of these values; empty refuses them."
    )
    oidc_required_acr: tuple[str, ...] = Field(
        (),
        description="[How strong](security.md#login-with-your-own-provider) a login at the provider has to be, as a "
        "JSON list: it is asked for one of these (`acr_values`), and its ID token has to say one as `acr`. Empty takes "
        "any.",
    )
    oidc_required_amr: tuple[str, ...] = Field(
        (),
        description="... and by what, as a JSON list: its ID token has to say one of these in `amr`, such as "
        '`["mfa", "hwk"]`. Empty takes any.',
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="What is logged.")
    web_port: int = Field(8320, ge=0, le=65535, description="Pages and API. 0 picks a free port.")
    otlp_grpc_port: int = Field(4317, ge=0, le=65535, description="OTLP over gRPC. 0 picks a free port.")
    otlp_http_port: int = Field(4318, ge=0, le=65535, description="OTLP over HTTP. 0 picks a free port.")

    browser_origins: tuple[str, ...] = Field(
        (),
        description="Sites whose pages may send telemetry to the OTLP/HTTP port, as a JSON list of origins such as "
        "`https://shop.example`. Those of this machine itself always may, no other. See [Browsers](browser.md).",
    )

    store_url: SecretStr | None = Field(
        None,
        description="`http://user:password@host:8123/database` of a ClickHouse; empty means the embedded engine.",
    )
    state_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of a PostgreSQL (`postgresql+psycopg://...`); empty means SQLite."
    )
    default_environment: str = Field(
        "production", description="Environment of telemetry that does not say `deployment.environment.name`."
    )

    max_request_bytes: int = Field(
        16 * 2**20,
        gt=0,
        le=2**30,
        description="Largest request after decompression, in bytes; larger ones are refused.",
    )
    spool_max_bytes: int = Field(
        2 * 2**30,
        gt=0,
        le=2**60,
        description="Spool size, with dead letters, at which intake answers `try again later` instead of accepting "
        "more. Projects share "
        "it: half of it is dealt out to them in equal parts, the other half is for whoever needs it first.",
    )
    min_free_disk_bytes: int = Field(
        256 * 2**20,
        ge=0,
        le=2**60,
        description="Free space on the data directory's disk below which intake is refused.",
    )
    flush_interval_s: Seconds = Field(
        1.0,
        description="Longest time a span or log record waits in the spool before it is stored; data points of metrics "
        "wait five times as long.",
    )
    flush_max_spans: int = Field(
        40_000, gt=0, le=10**9, description="Spans, log records or data points at which a flush happens at once."
    )
    retry_digest_s: Seconds = Field(900.0, description="How long a retried request is recognised and not stored twice.")
    scrape_targets: tuple[ScrapeTarget, ...] = Field(
        (),
        description="Pages of metrics to fetch: a JSON list of `{url, job, instance, interval_s, timeout_s, labels, "
        "project}`. See [Metrics from Prometheus](how-to-prometheus.md).",
    )
    scrape_max_bytes: int = Field(
        8 * 2**20, gt=0, le=2**30, description="Largest such page, in bytes; a larger one counts as down."
    )
    self_telemetry_project: str | None = Field(
        None,
        pattern=f"^{PROJECT_NAME.pattern}$",
        description="Project that onejob's own spans and metrics are kept in, as those of the service `onejob`; empty "
        "keeps none. See [onejob in onejob](deploying.md#onejob-in-onejob).",
    )
    traces_retention_days: int = Field(
        14, gt=0, le=_MOST_DAYS, description="How long spans are kept; ten years at most."
    )
    rollup_retention_days: int = Field(
        400,
        gt=0,
        le=_MOST_DAYS,
        description="How long the counts that verdicts are made of are kept; ten years at most.",
    )
    logs_retention_days: int = Field(14, gt=0, le=_MOST_DAYS, description="How long log records are kept.")
    metrics_retention_days: int = Field(
        30, gt=0, le=_MOST_DAYS, description="How long data points of metrics are kept."
    )
    dead_letters_retention_days: int | None = Field(
        None,
        gt=0,
        le=_MOST_DAYS,
        description="How long acknowledged requests that the engine refuses are kept; empty means until they are "
        "stored or deleted. What is older than that is lost.",
    )
    engine_max_memory_bytes: int = Field(
        2 * 2**30,
        ge=_LEAST_ENGINE_MEMORY_BYTES,
        le=2**50,
        description="Memory limit of one query of the engine, in bytes; 256 MiB at least: spans are stored by one.",
    )
    engine_max_threads: int = Field(2, gt=0, le=1024, description="Threads of one query of the engine.")
    query_timeout_s: Seconds = Field(30.0, le=86_400, description="Longest time one query of the engine may take.")

    redaction: tuple[RedactionRule, ...] = Field(
        (),
        description="What is hidden before telemetry is stored, as a JSON list of `{action, key}`, `{action, pattern}` "
        "or `{action, default}`; the action is `drop`, `hash`, `mask` or `keep`. Passwords and tokens, cookies, "
        "authorization, e-mail addresses and card numbers are hidden unless it says otherwise. See "
        "[Privacy](privacy.md#what-is-hidden-before-it-is-stored).",
    )

    bin_width_s: int = Field(
        10, gt=0, le=86_400, description="Width of the bins that are judged; fixed once data is stored."
    )
    tick_s: Seconds = Field(10.0, description="How often the judge looks.")
    watermark_s: Seconds = Field(
        12.0, description="Age at which a bin is complete: twice the exporters' delay plus the flush interval."
    )
    alpha: float = Field(0.01, gt=0, lt=0.5, description="Accepted rate of false alarms per deployment.")
    tolerance_errors: float = Field(0.001, gt=0, description="Tolerated rise of an error rate, as a difference.")
    tolerance_errors_ratio: float = Field(1.5, gt=1, description="Tolerated rise of an error rate, as a ratio.")
    tolerance_p50: float = Field(1.05, gt=1, description="Tolerated ratio of the median duration.")
    tolerance_tail: float = Field(1.10, gt=1, description="Tolerated ratio of the p95 and p99 of the duration.")
    tolerances: tuple[Tolerance, ...] = Field(
        (),
        description="Tolerances of single signals, as a JSON list of `{service, signal, operation, tolerance}`; the "
        "first whose globs fit holds, before the tolerances above. See [KPIs and tolerances](kpis.md).",
    )
    kpis: tuple[Kpi, ...] = Field(
        (),
        description="Your own numbers to judge, as a JSON list of `{name, service, source, attribute, event, "
        "operation, unit, direction, tolerance, kind, guardrail, per_instance, metric, equals, every_s}`; more can be "
        "named on the server's page. See [KPIs and tolerances](kpis.md).",
    )
    warm_up_s: float = Field(
        120.0, ge=0, description="Longest start of a new instance that is left out of latency (never out of errors)."
    )
    max_operations: int = Field(200, gt=0, le=10**6, description="Operations judged one by one; the rest is `other`.")
    judge_horizon_s: Seconds = Field(86_400.0, description="How long a deployment is judged at most.")

    calibrate_daily: bool = Field(
        False,
        description="Whether each service's false alarms are measured on its own past once a day, in the background: "
        "some minutes of one core at low priority for each.",
    )
    calibrate_placebos: int = Field(
        100, ge=30, le=10**6, description="Deployments of nothing that a calibration of one service tries."
    )
    calibrate_placebo_s: Seconds = Field(3600.0, description="How long each of them is judged.")

    errors_tick_s: Seconds = Field(
        30.0, description="How often telemetry is read for errors and log messages that were not known."
    )
    log_templates_max: int = Field(
        1_000,
        ge=10,
        le=100_000,
        description="Log messages told apart in one service; beyond them, those that came longest ago are forgotten.",
    )
    log_lines_per_look: int = Field(
        5_000, ge=100, le=10**6, description="Distinct lines of logs that one look reads at most; the rest is left out."
    )

    rollout_mode: Literal["observe", "advise", "act"] = Field(
        "observe", description="What a rollout may do unless it says otherwise itself."
    )
    promoted_attributes: tuple[str, ...] = Field(
        ("tenant.id", "tenant.size", "enduser.id", "http.route", "payment.method"),
        description="Span attributes kept as columns of their own, for speed.",
    )
    customer_attributes: tuple[str, ...] = Field(
        ("customer.id", "tenant.id", "enduser.id", "user.id"),
        max_length=10,
        description="Attributes of a request's entry span that name the [customer](customers.md), as a JSON list: the "
        "first that is there counts. An empty list tells no customers apart.",
    )
    customer_retention_days: int = Field(
        90,
        gt=0,
        le=_MOST_DAYS,
        description="How long the counts per customer, and complaints, are kept; ten years at most.",
    )
    complaint_window_hours: float = Field(
        48, gt=0, le=8760, description="Longest time from a deployment to a complaint that is said to follow it."
    )
    hook_secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="What webhooks sign their requests with (`X-Hub-Signature`, HMAC); empty refuses them all.",
    )
    jira_customer_fields: tuple[str, ...] = Field(
        ("labels:customer-",),
        max_length=10,
        description="Where a Jira ticket names its [customer](customers.md#from-jira), as a JSON list; the first that "
        "is there counts: `labels:PREFIX`, `customfield_10042`, `reporter.emailAddress` or another field.",
    )

    @field_validator("browser_origins")
    @classmethod
    def _as_browsers_write_them(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_origin, origins))

    @field_validator("customer_attributes")
    @classmethod
    def _names_of_attributes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in names if not name.strip() or not name.isprintable() or len(name) > 200]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no name of an attribute: write each as in the telemetry, as tenant.id")
        return names

    @field_validator("jira_customer_fields")
    @classmethod
    def _places_in_tickets(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [place for place in places if not _TICKET_FIELD.fullmatch(place)]
        if wrong:
            raise ValueError(
                f"{wrong[0]!r} is no place in a ticket: write labels:customer-, customfield_10042 or reporter.accountId"
            )
        return places

    @field_validator("kpis", mode="before")
    @classmethod
    def _only_keys_of_a_kpi(cls, value: Any) -> Any:
        return _known_keys(Kpi, value)

    @field_validator("tolerances", mode="before")
    @classmethod
    def _only_keys_of_a_tolerance(cls, value: Any) -> Any:
        return _known_keys(Tolerance, value)

    @field_validator("scrape_targets", mode="before")
    @classmethod
    def _only_keys_of_a_target(cls, value: Any) -> Any:
        return _known_keys(ScrapeTarget, value)

    @field_validator("redaction", mode="before")
    @classmethod
    def _only_keys_of_a_rule(cls, value: Any) -> Any:
        return _known_keys(RedactionRule, value)

    @field_validator("redaction")
    @classmethod
    def _patterns_can_be_searched_for(cls, rules: tuple[RedactionRule, ...]) -> tuple[RedactionRule, ...]:
        for rule in rules:
            if rule.pattern:
                check_regex(rule.pattern)
        return rules

    @field_validator("scrape_targets")
    @classmethod
    def _targets_differ(cls, targets: tuple[ScrapeTarget, ...]) -> tuple[ScrapeTarget, ...]:
        twice = [name for name, times in Counter(target.name for target in targets).items() if times > 1]
        if twice:
            raise ValueError(f"two targets have the job and instance {twice[0]!r}; give one another `instance`")
        return targets

    @field_validator("kpis")
    @classmethod
    def _names_differ(cls, kpis: tuple[Kpi, ...]) -> tuple[Kpi, ...]:
        twice = [name for name, times in Counter(kpi.name for kpi in kpis).items() if times > 1]
        if twice:
            raise ValueError(f"two KPIs are called {twice[0]!r}; give each a name of its own")
        return kpis

    @model_validator(mode="after")
    def _open_only_with_a_login(self) -> Self:
        if self.login == "off" and not is_loopback(self.listen_host):
            raise ValueError(
                f"login is off while listening on {self.listen_host}, where others could do everything: listen on "
                "127.0.0.1, or leave login at auto"
            )
        return self

    @model_validator(mode="after")
    def _providers_speak_https(self) -> Self:
        """Keys fetched without it could be anybody's."""
        issuer = urlsplit(self.oidc_issuer or "")
        if issuer.scheme == "http" and not is_loopback(issuer.hostname or ""):
            raise ValueError("the OpenID provider is asked over http, where others could answer for it: use https")
        return self

    @field_validator("public_url")
    @classmethod
    def _as_browsers_say_it(cls, url: str | None) -> str | None:
        """The name of a host is the same however it is written; a path is not."""
        if not url:
            return url
        parts = urlsplit(url.rstrip("/"))
        first = parts.path[1:].partition("/")[0]
        if first.partition(".")[0] in OWN_ADDRESSES:
            raise ValueError(f"/{first} is an address of onejob's own: show it at another path")
        return f"{parts.scheme}://{parts.netloc}".lower() + parts.path

    @field_validator("secret_key")
    @classmethod
    def _keys_of_32_bytes(cls, told: SecretStr | None) -> SecretStr | None:
        if told is not None and any(len(key) != _KEY_BYTES for key in _keys(told)):
            raise ValueError("it must be 32 bytes in base64, as `openssl rand -base64 32` prints them")
        return told

    @property
    def secret_keys(self) -> tuple[bytes, ...]:
        """The first one encrypts, all decrypt."""
        return () if self.secret_key is None else _keys(self.secret_key)

    @property
    def requires_login(self) -> bool:
        """Whether whoever asks has to say who they are."""
        if self.login != "auto":
            return self.login == "always"
        return not is_loopback(self.listen_host) or bool(self.allowed_hosts) or self.public_url is not None


def _keys(told: SecretStr) -> tuple[bytes, ...]:
    try:
        return tuple(base64.b64decode(key.strip(), validate=True) for key in told.get_secret_value().split(","))
    except ValueError:
        return (b"",)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(text: str) -> str:
    """In lower case, without the port that its scheme has anyway."""
    found = _ORIGIN.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no origin: write each site as https://shop.example, without a path or a *")
    is_usual = found["port"] == {"http": "80", "https": "443"}[found["scheme"]]
    port = f":{found['port']}" if found["port"] and not is_usual else ""
    return f"{found['scheme']}://{found['host']}{port}"


def _known_keys(kind: type, value: Any) -> Any:
    """A misspelt key would be ignored silently, and a guardrail be none."""
    known = {field.name for field in fields(kind)}
    for number, item in enumerate(value if isinstance(value, list | tuple) else ()):
        unknown = sorted(item.keys() - known) if isinstance(item, dict) else ()
        if unknown:
            raise ValueError(f"entry {number} has {unknown[0]!r}, which is none of {', '.join(sorted(known))}")
    return value
