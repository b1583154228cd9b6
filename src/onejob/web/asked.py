"""What handlers of pages and of the API are given with a request: the parts of the product, and who asks."""

from typing import Annotated

from fastapi import Depends, Request

from onejob.web.caller import Caller, caller_of
from onejob.web.services import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Uses = Annotated[Services, Depends(_services)]


def _caller(request: Request, services: Uses) -> Caller:
    return caller_of(request, services.record)


By = Annotated[Caller, Depends(_caller)]
