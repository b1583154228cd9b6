"""Span names hide what was called: database spans are named just SELECT, HTTP clients' just POST.

A label is what a reader needs to recognise the call: the normalised statement, method and path, else the name.
"""

from onejob.explain.addresses import normalise_path
from onejob.explain.statements import normalise_statement

MAX_CHARS = 300


def span_label(*, kind: str, name: str, operation: str, method: str, target: str, statement: str, database: str) -> str:
    """The label of one span; `operation` is the store's name for a server span, `METHOD route` where it knows both."""
    if statement:
        return normalise_statement(statement, database) or name
    if method and target and (kind == "Client" or (kind == "Server" and operation == name)):
        return f"{method} {normalise_path(target)}"
    return (operation or name)[:MAX_CHARS]
