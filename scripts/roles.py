"""Writes the table of roles in docs/security.md from src/onejob/web/rules.py: what it leaves out, nobody may.

python scripts/roles.py [--check]
"""

from made import with_block, write_or_check

from onejob.model.access import Role
from onejob.web.rules import RULES, Rule

SEEN = {
    "/api/v1/audit": "the audit log",
    "/api/v1/dead-letters": "dead letters",
    "/api/v1/projects": "projects",
    "/api/v1/users": "users",
    "/audit": "the audit log",
}
# By addresses, and by names in the audit log.
DONE = {
    "compute verdicts again": (
        "/deployments/{deployment_id}/recompute",
        "/api/v1/deployments/{deployment_id}/recompute",
    ),
    "try out KPIs": ("/api/v1/kpis/preview",),
    "change their password": ("password.set",),
    "set up and switch off their second factor": (
        *("second-factor.begin", "second-factor.set", "second-factor.off", "second-factor.recovery-codes"),
    ),
    "end their sessions": ("session.end", "logout.everywhere"),
    "make and revoke API tokens of their own": ("token.create", "token.revoke"),
    "report deployments and their progress": ("deployment.report", "deployment.progress"),
    "tell and withdraw complaints": ("complaint.tell", "complaint.remove"),
    "resolve and reopen errors": ("error.resolve", "error.reopen"),
    "start and steer rollouts": ("rollout.start", "rollout.command"),
    "name, change and delete [KPIs and tolerances](kpis.md)": (
        *("kpi.create", "kpi.change", "kpi.delete", "/settings/kpi-preview"),
        *("tolerance.create", "tolerance.change", "tolerance.delete"),
    ),
    "start backtests and calibrations": ("backtest.start", "calibration.start"),
    "import telemetry": ("/api/v1/import",),
    "replay dead letters": ("dead-letters.replay",),
    "delete dead letters": ("dead-letters.delete",),
    "delete what is known of customers": ("customer.forget",),
    "back up": ("backup",),
    "make, change and disable users": ("user.create", "user.change"),
    "make links for new passwords": ("user.link",),
    "reset second factors of others": ("second-factor.reset",),
    "end sessions of others": ("/api/v1/users/{name}/logout",),
    "make, change and remove [projects](projects.md) and their members": (
        *("project.create", "project.change", "project.remove", "member.set", "member.remove"),
    ),
}
_WORDS = {key: words for words, keys in DONE.items() for key in keys}
# What depends on the token, and not on the address: access/token_book.py.
OF_TOKENS = {
    (Role.OPERATOR, False): ["make and revoke ingest tokens of their project"],
    (Role.ADMIN, False): ["see and revoke tokens of everybody"],
}


def page() -> str:
    """The whole page, with the table as it has to be."""
    return with_block("security.md", _table())


def _table() -> str:
    kept = sorted({_seen(path) for (method, path), rule in RULES.items() if _is_seen_by_some(method, rule)})
    rows = {(role, False): _words(role, False) for role in Role} | {(Role.ADMIN, True): _words(Role.ADMIN, True)}
    rows[Role.VIEWER, False].insert(0, f"see everything but {', '.join(kept)} and tokens of others")
    lines = [f"| {_name(*who)} | {'; '.join(words)} |\n" for who, words in rows.items()]
    return "| role | may, beside what those above may |\n|---|---|\n" + "".join(lines)


def _is_seen_by_some(method: str, rule: Rule) -> bool:
    return method == "GET" and rule.role not in (None, Role.VIEWER)


def _name(role: Role, is_of_server: bool) -> str:
    return "`admin` of the server" if is_of_server else f"`{role}`"


def _words(role: Role, is_of_server: bool) -> list[str]:
    """Each once, in the order of the rules."""
    of_role = [(key, rule) for key, rule in RULES.items() if (rule.role, rule.of_server) == (role, is_of_server)]
    seen = [_seen(path) for (method, path), rule in of_role if _is_seen_by_some(method, rule)]
    done = [(path, rule) for (method, path), rule in of_role if rule.acts or method == "POST"]
    words = [_done(path, rule) for path, rule in done if path != "/api/{rest:path}"]
    words += [f"see {' and '.join(dict.fromkeys(seen))}"] if seen else []
    return [*dict.fromkeys(words), *OF_TOKENS.get((role, is_of_server), [])]


def _seen(path: str) -> str:
    return _known(SEEN, path)


def _done(path: str, rule: Rule) -> str:
    return _WORDS[path] if path in _WORDS else _known(_WORDS, rule.acts or path)


def _known(words: dict[str, str], name: str) -> str:
    if name not in words:
        raise SystemExit(f"scripts/roles.py has no words for {name}: say what who may use it may do.")
    return words[name]


if __name__ == "__main__":
    write_or_check("security.md", page())
