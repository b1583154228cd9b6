"""What /openapi.json says beyond what FastAPI makes of the routes.

Of errors: whatever is wrong with a request, the answer is a problem document. FastAPI describes errors route by route,
as plain JSON, and those of a request that it cannot read in a form of its own, which nobody is sent here. Of projects:
they have no routes of the server's, which the guard before the application sees to.
"""

from typing import Any

from fastapi import FastAPI

from onejob.web.rules import RULES

PROBLEM = "application/problem+json"
_CONTENT = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_OTHERS = {"description": "Whatever else is wrong, and what to do.", "content": _CONTENT}
_FIRST_ERROR = 400


class DescribedApp(FastAPI):
    """An application whose API answers errors with problem documents. `is_project`: a project's, not the server's."""

    is_project = False

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new and self.is_project:
            _leave_out_the_servers(document)
        if is_new:
            _describe_errors(document)
        return document


def _leave_out_the_servers(document: dict[str, Any]) -> None:
    for path, operations in list(document["paths"].items()):
        for method in list(operations):
            rule = RULES.get((method.upper(), path))
            if rule is not None and rule.of_server:
                del operations[method]
        if not operations:
            del document["paths"][path]


def _describe_errors(document: dict[str, Any]) -> None:
    of_api = (operations for path, operations in document["paths"].items() if path.startswith("/api/"))
    for operation in (operation for operations in of_api for operation in operations.values()):
        for status, response in operation["responses"].items():
            if status.isdigit() and int(status) >= _FIRST_ERROR:
                response["content"] = _CONTENT
        operation["responses"]["default"] = _OTHERS
