"""The storefront: what customers talk to. Shows the catalogue itself, asks checkout for everything else."""

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from onejob.demo.shop.database import PRODUCTS, Pool, tenants
from onejob.demo.shop.telemetry import describe_tenant


class Storefront:
    def __init__(self, pool: Pool, checkout: httpx.AsyncClient, sizes: dict[str, str]) -> None:
        self._pool = pool
        self._checkout = checkout
        self._sizes = sizes

    async def catalog(self, request: Request) -> Response:
        self._tenant(request)
        category = int(request.query_params.get("category", "0"))
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(PRODUCTS, (category,))).fetchall()
        return JSONResponse({"products": [{"id": row[0], "name": row[1]} for row in rows]})

    async def basket(self, request: Request) -> Response:
        basket_id = int(request.query_params["basket"])
        return await self._ask_checkout("GET", f"/baskets/{basket_id}", request)

    async def delivery(self, request: Request) -> Response:
        return await self._ask_checkout(
            "GET", f"/delivery-options?region={int(request.query_params['region'])}", request
        )

    async def quote(self, request: Request) -> Response:
        return await self._ask_checkout("POST", "/quotes", request)

    async def order(self, request: Request) -> Response:
        return await self._ask_checkout("POST", "/orders", request)

    async def _ask_checkout(self, method: str, path: str, request: Request) -> Response:
        headers = {"x-tenant": self._tenant(request), "content-type": "application/json"}
        content = await request.body()
        try:
            answer = await self._checkout.request(method, path, headers=headers, content=content)
        except httpx.TransportError as error:
            return JSONResponse({"error": f"checkout did not answer: {error!r}"}, status_code=502)
        return Response(answer.content, status_code=answer.status_code, media_type="application/json")

    def _tenant(self, request: Request) -> str:
        tenant_id = request.headers["x-tenant"]
        describe_tenant(tenant_id, self._sizes[tenant_id])
        return tenant_id


async def build(app: FastAPI, pool: Pool, checkout: httpx.AsyncClient) -> None:
    shop = Storefront(pool, checkout, await tenants(pool))
    app.get("/catalog")(shop.catalog)
    app.get("/basket")(shop.basket)
    app.get("/delivery")(shop.delivery)
    app.post("/quote")(shop.quote)
    app.post("/order")(shop.order)
