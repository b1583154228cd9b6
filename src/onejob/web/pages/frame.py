"""What every page is given, whatever it shows: who asks, where it is, and how it looks."""

from datetime import datetime

from starlette.requests import Request

from onejob.web.pages.render import render
from onejob.web.places import project_of, root_of, server_root_of, without
from onejob.web.who import logged_in_user

THEMES = {"": "dark", "dark": "light", "light": ""}


def framed(request: Request, template: str, now: datetime, **values: object) -> str:
    """The rendered template."""
    root = root_of(request.scope)
    return render(
        template,
        now=now,
        theme=theme_of(request),
        here=without(request.url.path, root),
        root=root,
        server_root=server_root_of(request.scope),
        project=project_of(request.scope),
        who=logged_in_user(request),
        **values,
    )


def theme_of(request: Request) -> str:
    """Dark, light, or empty: as the system has it."""
    theme = request.cookies.get("theme", "")
    return theme if theme in THEMES else ""
