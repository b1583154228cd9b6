"""`onejob forget`: delete one customer's telemetry."""

import getpass
from typing import Annotated

import typer

from onejob import words
from onejob.cli.client import Api
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import note, print_fields, print_json

_LONGEST_S = 3700.0  # the server gives up after an hour, and says so

_SHOWN = (
    "spans", "logs", "data_points", "dead_letters", "explanations", "verdicts", "backtests", "error_examples",
    "log_templates", "customer_counts", "complaints", "mentions",
)  # fmt: skip


def forget(
    attribute: Annotated[str, typer.Option(help="The attribute that names the customer, such as enduser.id.")],
    value: Annotated[str, typer.Option(help="Its value, whole and as it was sent.")],
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Delete all telemetry in which an attribute has a value, for good.

    Spans, log records, data points, refused requests, and what explanations of verdicts say of it. Ends when what held
    it is rewritten; the old files go within some three minutes. Counts per operation and version have no customers in
    them, and stay; those of the customer itself go.
    """
    body = {"attribute": attribute, "value": value, "actor": _user()}
    document = Api(url, read_timeout_s=_LONGEST_S).post("api/v1/forget", body, is_repeatable=True)
    if as_json:
        print_json(document)
        return
    print_fields((name.replace("_", " "), words.count(document[name])) for name in _SHOWN)
    if not document["is_complete"]:
        note(
            "Telemetry still waits to be stored, or files could not be wiped (many dead letters, a backup that runs, a "
            "full disk): say this again once `onejob status` shows none on its way."
        )


def _user() -> str:
    try:
        return f"{getpass.getuser()}, on the command line"
    except (KeyError, OSError):
        return "the command line"
