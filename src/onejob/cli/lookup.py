"""Which deployment, or which rollout, is meant: its id, or the latest one of a version of a service."""

from typing import Annotated

import typer

from onejob.cli.client import Api, Document
from onejob.cli.errors import UnknownError, UsageError
from onejob.cli.output import clean

ID_PREFIX = "dep_"
ROLLOUT_PREFIX = "rol_"

Which = Annotated[
    list[str],
    typer.Argument(
        metavar="SERVICE VERSION | ID", help="The latest deployment of a version, or one by its id.", show_default=False
    ),
]


def deployment_id(api: Api, words: list[str], environment: str | None) -> str:
    """`dep_...`, or SERVICE VERSION."""
    match words:
        case [one] if one.startswith(ID_PREFIX):
            return path_part(one)
        case [service, version]:
            return str(gate_document(api, service, version, environment)["deployment_id"])
    raise UsageError(f"Say which deployment: SERVICE VERSION, or its id ({ID_PREFIX}...).")


def rollout_id(api: Api, words: list[str], environment: str | None) -> str:
    """`rol_...`, or that of the deployment meant by SERVICE VERSION or `dep_...`."""
    match words:
        case [one] if one.startswith(ROLLOUT_PREFIX):
            return path_part(one)
        case [one] if one.startswith(ID_PREFIX):
            name, document = one, api.get(f"api/v1/deployments/{path_part(one)}")
        case [service, version]:
            name, document = f"{service} {version}", gate_document(api, service, version, environment)
        case _:
            raise UsageError(f"Say which rollout: SERVICE VERSION, or its id ({ROLLOUT_PREFIX}...).")
    if document.get("rollout") is None:
        raise UnknownError(f"{clean(name)} has no rollout: start one with `onejob rollout start`.")
    return str(document["rollout"]["id"])


def gate_document(api: Api, service: str, version: str, environment: str | None) -> Document:
    """The verdict of the latest deployment of a version."""
    return api.get("api/v1/gate", service=service, version=version, environment=environment)


def name_part(text: str) -> str:
    """A user's name as a part of an address, from which it cannot lead elsewhere."""
    from urllib.parse import quote

    return quote(text, safe="")


def path_part(text: str) -> str:
    """An id that cannot lead to another address."""
    if not text.replace("_", "").replace("-", "").isalnum():
        raise UsageError(
            f"{clean(text)!r} is no id: it looks like {ID_PREFIX}01hx... and `onejob deployment list` shows it."
        )
    return text
