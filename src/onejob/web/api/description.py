"""What /openapi.json says of errors: whatever is wrong with a request, the answer is a problem document.

FastAPI describes errors route by route, as plain JSON, and those of a request that it cannot read in a form of its own,
which nobody is sent here.
"""

from typing import Any

from fastapi import FastAPI

PROBLEM = "application/problem+json"
_CONTENT = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_OTHERS = {"description": "Whatever else is wrong, and what to do.", "content": _CONTENT}
_FIRST_ERROR = 400


class DescribedApp(FastAPI):
    """An application whose API answers errors with problem documents."""

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new:
            _describe_errors(document)
        return document


def _describe_errors(document: dict[str, Any]) -> None:
    of_api = (operations for path, operations in document["paths"].items() if path.startswith("/api/"))
    for operation in (operation for operations in of_api for operation in operations.values()):
        for status, response in operation["responses"].items():
            if status.isdigit() and int(status) >= _FIRST_ERROR:
                response["content"] = _CONTENT
        operation["responses"]["default"] = _OTHERS
