"""Which services there are to replay, so that a misspelt name is answered at once instead of measured for nothing."""

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches

from onejob.history.errors import NotServedError
from onejob.store.engine import Reader
from onejob.store.rollup import versions_seen

Place = tuple[str, str]  # service, environment
_MOST_NAMED = 5


def places(engine: Reader, default_environment: str, since: datetime, until: datetime) -> list[Place]:
    """Services and environments that answered in a time."""
    seen = versions_seen(engine, since=int(since.timestamp()), until=int(until.timestamp()))
    return sorted({(one.service, one.environment or default_environment) for one in seen if one.service})


def check_served(service: str, environment: str, found: Sequence[Place]) -> None:
    """NotServedError names what it may have been meant."""
    if (service, environment) in found:
        return
    elsewhere = [place for place in found if place[0] == service]
    alike = get_close_matches(service, sorted({name for name, _ in found}), _MOST_NAMED)
    near = elsewhere or [place for name in alike for place in found if place[0] == name] or list(found)
    named = ", ".join(f"{name} in {place}" for name, place in near[:_MOST_NAMED])
    known = f"There is {named}{' and more' if len(near) > _MOST_NAMED else ''}." if named else "There is none of any."
    raise NotServedError(f"No request to {service} in {environment} is stored of the last 30 days. {known}")
