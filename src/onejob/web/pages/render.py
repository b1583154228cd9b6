"""Templates: escaped always, strict about names, and with every control character made visible."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from onejob import __version__, words
from onejob.web.charts.scale import number
from onejob.web.pages import filters

_WEB = Path(__file__).resolve().parent.parent
# C0 and C1 controls break HTML; directional overrides make a text read as another one.
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(value: Any) -> Any:
    """What a template may write: strangers' control characters become U+FFFD, None becomes nothing."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _INVISIBLE.sub("\ufffd", value)
    return "" if value is None else value


@pass_context
def at(context: Context, address: str) -> str:
    """One of the application's addresses, as browsers find it."""
    return f"{context['root']}{address}"


@pass_context
def at_server(context: Context, address: str) -> str:
    """The same of the server's addresses, which no project has."""
    return f"{context['server_root']}{address}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
        auto_reload=False,
    )
    environment.filters |= {
        "ago": words.ago,
        "absolute": words.absolute,
        "iso": lambda moment: moment.isoformat(timespec="seconds"),
        "count": words.count,
        "plural": words.plural,
        "n": number,
        "shorten": words.shorten,
        "at": at,
        "at_server": at_server,
    }
    environment.globals |= {
        "onejob_version": __version__,
        "link": filters.link,
        "deployment_link": filters.deployment_link,
        "ranges": filters.RANGES,
        "verdicts": filters.VERDICTS,
        "alarms": (),
        "who": None,  # who is logged in; nobody, where nobody has to
        "root": "",  # a file that needs no server is below nothing
        "server_root": "",
        "project": None,
    }
    return environment


_ENVIRONMENT = _environment()


def render(template: str, *, now: datetime, **values: Any) -> str:
    """The finished page."""
    return _ENVIRONMENT.get_template(template).render(now=now, **values)
