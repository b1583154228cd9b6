"""The shop's questions to its database; each SQL text is here once."""

from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

TENANTS = "SELECT tenant_id, size FROM tenants"
PRODUCTS = "SELECT product_id, name FROM products WHERE category = %s"
LINES = "SELECT product_id, quantity FROM basket_lines WHERE basket_id = %s"
PRICES = "SELECT product_id, price FROM prices WHERE product_id = ANY(%s)"
QUOTA = "SELECT delivery_quota(%s)"
SLOTS = "SELECT slot FROM delivery_slots WHERE region = %s"
NEW_ORDER = "INSERT INTO orders (tenant_id, basket_id, total) VALUES (%s, %s, %s) RETURNING order_id"
NEW_CHARGE = "INSERT INTO charges (method, reference, amount) VALUES (%s, %s, %s) RETURNING charge_id"

Pool = AsyncConnectionPool[AsyncConnection[Any]]


async def open_pool(conninfo: str, size: int) -> Pool:
    pool: Pool = AsyncConnectionPool(
        conninfo, min_size=size, max_size=size, open=False, kwargs={"autocommit": True, "prepare_threshold": 1}
    )
    await pool.open(wait=True, timeout=20)
    return pool


async def tenants(pool: Pool) -> dict[str, str]:
    """Size by tenant."""
    async with pool.connection() as connection:
        return dict(await (await connection.execute(TENANTS)).fetchall())


class Basket:
    """One request's view of one basket, on one connection."""

    def __init__(self, connection: AsyncConnection[Any], basket_id: int) -> None:
        self._connection = connection
        self._basket_id = basket_id

    async def total(self, *, one_by_one: bool) -> int:
        quantities = dict(await self._rows(LINES, self._basket_id))
        prices = dict(await self._rows(PRICES, list(quantities)))
        if one_by_one:
            for product_id in quantities:
                prices.update(await self._rows(PRICES, [product_id]))
        return sum(price * quantities[product_id] for product_id, price in prices.items())

    async def order(self, tenant_id: str, total: int) -> int:
        rows = await self._rows(NEW_ORDER, tenant_id, self._basket_id, total)
        return int(rows[0][0])

    async def _rows(self, sql: str, *parameters: object) -> list[Any]:
        return await (await self._connection.execute(sql, parameters)).fetchall()
