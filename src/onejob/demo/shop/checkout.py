"""Checkout: the service whose versions are shipped. `Variant` says which version's code runs."""

import random

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from onejob.demo.shop.database import QUOTA, SLOTS, Basket, Pool, tenants
from onejob.demo.shop.telemetry import describe_payment, describe_tenant
from onejob.demo.shop.variant import BASKET, ORDER, QUOTE, Variant, variant_of_this_process


class Checkout:
    def __init__(self, pool: Pool, payments: httpx.AsyncClient, sizes: dict[str, str], variant: Variant) -> None:
        self._pool = pool
        self._payments = payments
        self._sizes = sizes
        self._variant = variant

    async def basket(self, basket_id: int, request: Request) -> Response:
        tenant_id = self._tenant(request)
        async with self._pool.connection() as connection:
            basket = Basket(connection, basket_id)
            total = await basket.total(one_by_one=self._rechecks(BASKET, tenant_id))
        return JSONResponse({"basket": basket_id, "total": total})

    async def quote(self, request: Request) -> Response:
        tenant_id = self._tenant(request)
        basket_id = int((await request.json())["basket"])
        async with self._pool.connection() as connection:
            basket = Basket(connection, basket_id)
            total = await basket.total(one_by_one=self._rechecks(QUOTE, tenant_id))
        return JSONResponse({"basket": basket_id, "total": total, "tax": total * 19 // 100})

    async def order(self, request: Request) -> Response:
        tenant_id = self._tenant(request)
        wanted = await request.json()
        describe_payment(wanted["payment_method"])
        async with self._pool.connection() as connection:
            basket = Basket(connection, int(wanted["basket"]))
            total = await basket.total(one_by_one=self._rechecks(ORDER, tenant_id))
            order_id = await basket.order(tenant_id, total)
        return await self._charge(order_id, total, wanted["payment_method"])

    async def delivery(self, request: Request) -> Response:
        self._tenant(request)
        region = int(request.query_params["region"])
        async with self._pool.connection() as connection:
            if not self._variant.knows_delivery_quota:
                await connection.execute(QUOTA, (region,))
            slots = await (await connection.execute(SLOTS, (region,))).fetchall()
        return JSONResponse({"slots": [row[0] for row in slots]})

    async def _charge(self, order_id: int, total: int, method: str) -> Response:
        charge = {"method": method, "reference": self._reference(order_id, method), "amount": total}
        answer = await self._payments.post("/charges", json=charge)
        if answer.status_code >= 500:
            return JSONResponse({"error": "the payment could not be made"}, status_code=502)
        return JSONResponse({"order": order_id, "total": total}, status_code=201)

    def _reference(self, order_id: int, method: str) -> str:
        if method == self._variant.long_references_for and random.random() < 0.5:
            return f"order {order_id:012d} of the wholesale shop"
        return f"o{order_id}"

    def _rechecks(self, operation: str, tenant_id: str) -> bool:
        return self._variant.rechecks(operation, self._sizes[tenant_id])

    def _tenant(self, request: Request) -> str:
        tenant_id = request.headers["x-tenant"]
        describe_tenant(tenant_id, self._sizes[tenant_id])
        return tenant_id


async def build(app: FastAPI, pool: Pool, payments: httpx.AsyncClient) -> None:
    shop = Checkout(pool, payments, await tenants(pool), variant_of_this_process())
    app.get("/baskets/{basket_id}")(shop.basket)
    app.post("/quotes")(shop.quote)
    app.post("/orders")(shop.order)
    app.get("/delivery-options")(shop.delivery)
