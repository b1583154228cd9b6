"""Who may do what: one line for each route there is. A test fails for a route without one.

`PUBLIC` needs no login. Everything else names the least role. `by_service` marks what a token for one service may use:
such a route looks only at, and touches only, what belongs to that service. `acts` is what the audit log calls it;
whatever changes something has one, or says here why not.
"""

import re
from dataclasses import dataclass

from starlette.routing import compile_path

from onejob.model.access import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`role` None is everybody, logged in or not. `of_server`: it is about no project, and at no project's address.
    `is_enrolment` is open to who must set up a second factor first. `is_telemetry` has back-pressure of its own, and
    counts for no limit of requests.
    """

    role: Role | None
    by_service: bool = False
    acts: str | None = None
    of_server: bool = False
    is_enrolment: bool = False
    is_telemetry: bool = False


PUBLIC = Rule(role=None)
VIEW = Rule(role=Role.VIEWER)
VIEW_SERVICE = Rule(role=Role.VIEWER, by_service=True)


def _does(role: Role, acts: str, *, by_service: bool = False) -> Rule:
    return Rule(role=role, acts=acts, by_service=by_service)


def _viewer(acts: str) -> Rule:
    return _does(Role.VIEWER, acts)


def _server(acts: str | None = None) -> Rule:
    return Rule(role=Role.ADMIN, acts=acts, of_server=True)


def _enrols(acts: str | None) -> Rule:
    return Rule(role=Role.VIEWER, acts=acts, is_enrolment=True)


RULES: dict[tuple[str, str], Rule] = {
    # The pages.
    ("GET", "/"): VIEW,
    ("GET", "/deployments"): VIEW,
    ("GET", "/deployments.csv"): VIEW,
    ("GET", "/deployments/{deployment_id}"): VIEW,
    ("GET", "/deployments/{deployment_id}/evidence.csv"): VIEW,
    ("GET", "/deployments/{deployment_id}/spark.svg"): VIEW,
    ("POST", "/deployments/{deployment_id}/rollout/{command}"): _does(Role.OPERATOR, "rollout.command"),
    ("POST", "/deployments/{deployment_id}/recompute"): Rule(role=Role.VIEWER),  # compares, and stores nothing
    ("GET", "/deployments/{deployment_id}/customers.csv"): VIEW,
    ("GET", "/customers"): VIEW,
    ("GET", "/errors"): VIEW,
    ("GET", "/errors.csv"): VIEW,
    ("GET", "/errors/{error_id}"): VIEW,
    ("POST", "/errors/{error_id}/resolve"): _does(Role.DEVELOPER, "error.resolve"),
    ("POST", "/errors/{error_id}/reopen"): _does(Role.DEVELOPER, "error.reopen"),
    ("POST", "/theme"): PUBLIC,  # a cookie of the visitor's own
    ("GET", "/events"): VIEW,
    ("GET", "/backtest"): VIEW,
    ("POST", "/backtest"): _does(Role.OPERATOR, "backtest.start"),
    ("GET", "/backtest/{backtest_id}.html"): VIEW,
    ("GET", "/settings/kpis"): VIEW,
    ("POST", "/settings/kpis"): _does(Role.OPERATOR, "kpi.create"),
    ("GET", "/settings/kpi-preview"): VIEW,
    ("POST", "/settings/kpi-preview"): Rule(role=Role.OPERATOR),  # shows what a form says, and stores nothing
    ("GET", "/settings/kpis/{name}"): VIEW,
    ("POST", "/settings/kpis/{name}"): _does(Role.OPERATOR, "kpi.change"),
    ("POST", "/settings/kpis/{name}/delete"): _does(Role.OPERATOR, "kpi.delete"),
    ("POST", "/settings/tolerances"): _does(Role.OPERATOR, "tolerance.create"),
    ("GET", "/settings/tolerances/{tolerance_id}"): VIEW,
    ("POST", "/settings/tolerances/{tolerance_id}"): _does(Role.OPERATOR, "tolerance.change"),
    ("POST", "/settings/tolerances/{tolerance_id}/delete"): _does(Role.OPERATOR, "tolerance.delete"),
    # Logging in and out, and one's own account.
    ("GET", "/login"): PUBLIC,
    ("POST", "/login"): Rule(role=None, acts="login"),
    ("GET", "/login/code"): PUBLIC,
    ("POST", "/login/code"): Rule(role=None, acts="login"),
    ("GET", "/login/provider"): PUBLIC,
    ("GET", "/login/provider/back"): Rule(role=None, acts="login"),
    ("GET", "/welcome"): PUBLIC,
    ("POST", "/welcome"): Rule(role=None, acts="password.set"),
    ("POST", "/logout"): Rule(role=None, acts="logout"),
    ("GET", "/account"): VIEW,
    ("POST", "/account/password"): _viewer("password.set"),
    ("GET", "/account/second-factor"): _enrols(None),
    ("POST", "/account/second-factor"): _enrols("second-factor.begin"),
    ("POST", "/account/second-factor/confirm"): _enrols("second-factor.set"),
    ("POST", "/account/second-factor/recovery-codes"): _viewer("second-factor.recovery-codes"),
    ("POST", "/account/second-factor/off"): _viewer("second-factor.off"),
    ("POST", "/account/sessions/end"): _viewer("session.end"),
    ("POST", "/account/logout"): _viewer("logout.everywhere"),
    ("POST", "/account/tokens"): _viewer("token.create"),
    ("POST", "/account/ingest-tokens"): _viewer("token.create"),  # as an operator of its project
    ("POST", "/account/tokens/{token_id}/revoke"): _viewer("token.revoke"),
    ("GET", "/audit"): Rule(role=Role.ADMIN),
    # The API.
    ("GET", "/openapi.json"): VIEW,
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/api/v1/status"): VIEW,
    ("POST", "/api/v1/deployments"): _does(Role.DEVELOPER, "deployment.report", by_service=True),
    ("GET", "/api/v1/deployments"): VIEW_SERVICE,
    ("GET", "/api/v1/deployments/{deployment_id}"): VIEW_SERVICE,
    ("PATCH", "/api/v1/deployments/{deployment_id}"): _does(Role.DEVELOPER, "deployment.progress", by_service=True),
    ("GET", "/api/v1/deployments/{deployment_id}/verdicts"): VIEW_SERVICE,
    ("POST", "/api/v1/deployments/{deployment_id}/recompute"): VIEW_SERVICE,  # compares, and stores nothing
    ("GET", "/api/v1/deployments/{deployment_id}/customers"): VIEW_SERVICE,
    ("GET", "/api/v1/customers"): VIEW,
    ("GET", "/api/v1/complaints"): VIEW,
    ("POST", "/api/v1/complaints"): _does(Role.DEVELOPER, "complaint.tell", by_service=True),
    ("DELETE", "/api/v1/complaints/{complaint_id}"): _does(Role.DEVELOPER, "complaint.remove"),
    ("POST", "/api/v1/hooks/complaints"): Rule(role=None, acts="complaint.tell"),  # whoever signs: see api/complaints
    ("POST", "/api/v1/hooks/jira"): Rule(role=None, acts="complaint.tell"),
    ("GET", "/api/v1/gate"): VIEW_SERVICE,
    ("POST", "/api/v1/rollouts"): _does(Role.OPERATOR, "rollout.start", by_service=True),
    ("GET", "/api/v1/rollouts/{rollout_id}"): VIEW_SERVICE,
    ("POST", "/api/v1/rollouts/{rollout_id}/{command}"): _does(Role.OPERATOR, "rollout.command", by_service=True),
    ("POST", "/api/v1/backtests"): _does(Role.OPERATOR, "backtest.start"),
    ("GET", "/api/v1/backtests/{backtest_id}"): VIEW,
    ("POST", "/api/v1/calibrations"): _does(Role.OPERATOR, "calibration.start"),
    ("GET", "/api/v1/calibrations"): VIEW,
    ("GET", "/api/v1/replays/{job_id}"): VIEW,
    ("GET", "/api/v1/errors"): VIEW_SERVICE,
    ("GET", "/api/v1/errors/{error_id}"): VIEW_SERVICE,
    ("POST", "/api/v1/errors/{error_id}/resolve"): _does(Role.DEVELOPER, "error.resolve", by_service=True),
    ("POST", "/api/v1/errors/{error_id}/reopen"): _does(Role.DEVELOPER, "error.reopen", by_service=True),
    ("GET", "/api/v1/sessions"): VIEW_SERVICE,
    ("GET", "/api/v1/kpis"): VIEW,
    ("POST", "/api/v1/kpis"): _does(Role.OPERATOR, "kpi.create"),
    ("POST", "/api/v1/kpis/preview"): VIEW,  # reads telemetry, and stores nothing
    ("GET", "/api/v1/kpis/{name}"): VIEW,
    ("PUT", "/api/v1/kpis/{name}"): _does(Role.OPERATOR, "kpi.change"),
    ("DELETE", "/api/v1/kpis/{name}"): _does(Role.OPERATOR, "kpi.delete"),
    ("GET", "/api/v1/tolerances"): VIEW,
    ("POST", "/api/v1/tolerances"): _does(Role.OPERATOR, "tolerance.create"),
    ("PUT", "/api/v1/tolerances/{tolerance_id}"): _does(Role.OPERATOR, "tolerance.change"),
    ("DELETE", "/api/v1/tolerances/{tolerance_id}"): _does(Role.OPERATOR, "tolerance.delete"),
    ("POST", "/api/v1/import"): Rule(role=Role.OPERATOR, is_telemetry=True),  # thousands of bodies an import
    ("GET", "/api/v1/dead-letters"): Rule(role=Role.OPERATOR),
    ("POST", "/api/v1/dead-letters/replay"): _does(Role.OPERATOR, "dead-letters.replay"),
    ("DELETE", "/api/v1/dead-letters"): _does(Role.OPERATOR, "dead-letters.delete"),
    ("GET", "/api/v1/doctor"): VIEW,
    ("POST", "/api/v1/backup"): _server("backup"),
    ("POST", "/api/v1/forget"): _does(Role.ADMIN, "customer.forget"),
    ("GET", "/metrics"): VIEW,
    ("GET", "/api/v1/users"): _server(),
    ("POST", "/api/v1/users"): _server("user.create"),
    ("PATCH", "/api/v1/users/{name}"): _server("user.change"),
    ("POST", "/api/v1/users/{name}/link"): _server("user.link"),
    ("DELETE", "/api/v1/users/{name}/second-factor"): _server("second-factor.reset"),
    ("POST", "/api/v1/users/{name}/logout"): _server("logout.everywhere"),
    ("GET", "/api/v1/projects"): _server(),
    ("POST", "/api/v1/projects"): _server("project.create"),
    ("PATCH", "/api/v1/projects/{name}"): _server("project.change"),
    ("DELETE", "/api/v1/projects/{name}"): _server("project.remove"),
    ("PUT", "/api/v1/projects/{name}/members/{user}"): _server("member.set"),
    ("DELETE", "/api/v1/projects/{name}/members/{user}"): _server("member.remove"),
    ("GET", "/api/v1/tokens"): VIEW,  # one's own; all for admins
    ("POST", "/api/v1/tokens"): _viewer("token.create"),
    ("DELETE", "/api/v1/tokens/{token_id}"): _viewer("token.revoke"),
    ("GET", "/api/v1/audit"): Rule(role=Role.ADMIN),
    **{
        (method, "/api/{rest:path}"): VIEW  # says that there is nothing, or that it takes another method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    },
}
_STATIC = "/static/"
_PATTERNS: dict[str, list[tuple[re.Pattern[str], str, Rule]]] = {}
for (_method, _path), _rule in RULES.items():
    _PATTERNS.setdefault(_method, []).append((compile_path(_path)[0], _path, _rule))


def rule_for(method: str, path: str) -> Rule | None:
    """The rule of the first route that fits, as the application finds its routes; None for an unknown address."""
    if path.startswith(_STATIC):
        return PUBLIC
    found = _first(method, path)
    return found[1] if found else None


def route_of(method: str, path: str) -> str:
    """As it is written here, with the names of what differs; empty for an unknown address. So there are few."""
    if path.startswith(_STATIC):
        return f"{_STATIC}{{path}}"
    found = _first(method, path)
    return found[0] if found else ""


def _first(method: str, path: str) -> tuple[str, Rule] | None:
    fitting = ((route, rule) for pattern, route, rule in _PATTERNS.get(method, ()) if pattern.match(path))
    return next(fitting, None)
