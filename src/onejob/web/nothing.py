"""What answers at `/p/NAME` where no project runs: to whoever may not know, the same as a project answers them.

So the list of a server's projects cannot be found out by trying names: nobody is asked to log in as at a project, a
webhook is refused as at one, and who is known gets the same "nothing here".
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import lru_cache

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import SecretStr
from starlette.types import ASGIApp

from onejob.model.project import PROJECT_NAME
from onejob.web.admission import Admission
from onejob.web.api.complaints import hooks
from onejob.web.head import HeadAsGet
from onejob.web.messages import message
from onejob.web.pages.product import ProductData
from onejob.web.security import Guard, known_to
from onejob.web.services import Services

_NOWHERE = ""  # the name of no project: nobody belongs to it


class Nothing:
    """Over the services of `default`."""

    def __init__(self, default: Services) -> None:
        secret = SecretStr(secrets.token_hex(32)) if default.settings.hook_secret else None
        self._services = replace(default, settings=default.settings.model_copy(update={"hook_secret": secret}))
        self._made = lru_cache(maxsize=32)(self._make)

    def at(self, name: str, trouble: str | None) -> ASGIApp:
        """`trouble`: why the project, which there is, does not run; its members are told."""
        return self._made(name if trouble and PROJECT_NAME.fullmatch(name) else _NOWHERE, trouble)

    def _make(self, name: str, trouble: str | None) -> ASGIApp:
        access = self._services.access.of_project(name)
        data = ProductData(self._services)

        async def nothing(request: Request, _: Exception) -> Response:
            if trouble:
                return message(request, 503, "The project does not run", f"{trouble} It is tried again by itself.")
            return message(request, 404, "Not found", "There is nothing at this address.")

        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.state.services = replace(self._services, access=access)
        app.state.page_data = data
        app.router.routes.extend(hooks.routes)
        app.add_exception_handler(404, nothing)
        app.add_middleware(HeadAsGet)
        app.add_middleware(Admission, access=access, page_data=data)
        app.add_middleware(Guard, is_known=known_to(self._services.settings), public_url=access.public_url)
        return app
