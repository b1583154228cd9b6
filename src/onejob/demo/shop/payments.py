"""Payments: charges a customer through the provider of the payment method."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from onejob.demo.shop.database import NEW_CHARGE, Pool
from onejob.demo.shop.telemetry import describe_payment

LONGEST_REFERENCE = 18


class ProviderError(Exception):
    """The provider refused what payments sent it."""


class Payments:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def charge(self, request: Request) -> Response:
        wanted = await request.json()
        describe_payment(wanted["method"])
        if len(wanted["reference"]) > LONGEST_REFERENCE:
            raise ProviderError(f"{wanted['method']} takes references of at most {LONGEST_REFERENCE} characters")
        parameters = (wanted["method"], wanted["reference"], wanted["amount"])
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(NEW_CHARGE, parameters)).fetchall()
        return JSONResponse({"charge": rows[0][0]}, status_code=201)


def build(app: FastAPI, pool: Pool) -> None:
    app.post("/charges")(Payments(pool).charge)
