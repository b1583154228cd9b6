"""What every page is given, whatever it shows: who asks, where it is, and how it looks."""

from collections.abc import Sequence
from datetime import datetime

from starlette.requests import Request

from onejob.web.pages.alarms import alarms_for
from onejob.web.pages.data import SeenProject
from onejob.web.pages.render import render
from onejob.web.places import of_server, project_of, root_of, server_root_of, without
from onejob.web.who import is_stranger, logged_in_user

THEMES = {"": "dark", "dark": "light", "light": ""}


# By the first part of the address of a page: where another project has one like it.
_SAME_KIND = {
    "deployments": "/deployments",
    "errors": "/errors",
    "customers": "/customers",
    "backtest": "/backtest",
    "settings": "/settings/kpis",
}


def framed(
    request: Request, template: str, now: datetime, projects: Sequence[SeenProject] = (), **values: object
) -> str:
    """The rendered template. To strangers every project looks as the server does, which has a login for them."""
    scope = of_server(request.scope) if is_stranger(request) else request.scope
    root = root_of(scope)
    here = without(request.url.path, root)
    return render(
        template,
        now=now,
        theme=theme_of(request),
        here=here,
        root=root,
        server_root=server_root_of(scope),
        project=project_of(scope),
        projects=projects,
        same_kind=_SAME_KIND.get(here.split("/")[1], "/"),
        who=logged_in_user(request),
        alarms=alarms_for(request),
        **values,
    )


def theme_of(request: Request) -> str:
    """Dark, light, or empty: as the system has it."""
    theme = request.cookies.get("theme", "")
    return theme if theme in THEMES else ""
