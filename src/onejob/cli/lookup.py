"""Which deployment is meant: its id, or the latest one of a version of a service."""

from onejob.cli.client import Api, Document
from onejob.cli.errors import UsageError
from onejob.cli.output import clean

ID_PREFIX = "dep_"


def deployment_id(api: Api, words: list[str], environment: str | None) -> str:
    """`dep_...`, or SERVICE VERSION."""
    match words:
        case [one] if one.startswith(ID_PREFIX):
            return path_part(one)
        case [service, version]:
            return str(gate_document(api, service, version, environment)["deployment_id"])
    raise UsageError(f"Say which deployment: its id ({ID_PREFIX}...), or SERVICE VERSION.")


def gate_document(api: Api, service: str, version: str, environment: str | None) -> Document:
    """The verdict of the latest deployment of a version."""
    return api.get("api/v1/gate", service=service, version=version, environment=environment)


def path_part(text: str) -> str:
    """An id that cannot lead to another address."""
    if not text.replace("_", "").replace("-", "").isalnum():
        raise UsageError(
            f"{clean(text)!r} is no id: it looks like {ID_PREFIX}01hx... and `onejob deployment list` shows it."
        )
    return text
