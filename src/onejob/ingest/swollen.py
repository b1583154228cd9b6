"""Requests that are small, and a hundred times larger in tables.

A request says once what its resource is, and each row of a table repeats it: a resource of a megabyte with thousands of
spans is more than the engine has memory for, and would keep everything behind it waiting. Said at the door.
"""

from __future__ import annotations

from typing import Any

from onejob.ingest.errors import BadRequest

MOST_BYTES = 256 * 2**20  # 100,000 items, with 2.6 kB of resource and scope each


def refuse_swollen(request: Any, items: int, size: int) -> None:
    """Raises BadRequest. `items` are how many the request has, `size` is its bytes."""
    if items * size <= MOST_BYTES:
        return
    resources = _children(request, 0)
    of_resources = [one.resource.ByteSize() for one in resources]
    scopes = [[scope.scope.ByteSize() for scope in _children(one, 1)] for one in resources]
    if items * (max(of_resources, default=0) + max((each for of in scopes for each in of), default=0)) <= MOST_BYTES:
        return
    swollen = 0
    for one, of_resource, of_scopes in zip(resources, of_resources, scopes, strict=True):
        for scope, of_scope in zip(_children(one, 1), of_scopes, strict=True):
            swollen += (of_resource + of_scope) * _items(scope)
    if swollen > MOST_BYTES:
        raise BadRequest(
            f"With what its resources and scopes say repeated for each of {items} items, this request has "
            f"{swollen >> 20} MB, more than {MOST_BYTES >> 20}: send fewer items at a time, and no attribute of a "
            "resource that is as long as a document."
        )


def _children(message: Any, place: int) -> Any:
    """Of a request its resources, of a resource its scopes, of a scope its items: the field at that place."""
    return getattr(message, message.DESCRIPTOR.fields[place].name)


def _items(scope: Any) -> int:
    found = _children(scope, 1)
    if scope.DESCRIPTOR.name != "ScopeMetrics":
        return len(found)
    return sum(len(getattr(metric, form).data_points) for metric in found if (form := metric.WhichOneof("data")))
