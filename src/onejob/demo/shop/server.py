"""Runs one service of the shop: `python -m onejob.demo.shop SERVICE --port N --database URI --upstream URL`."""

import argparse
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
import uvloop
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from starlette.types import ASGIApp

from onejob.demo.shop import checkout, payments, storefront
from onejob.demo.shop.breakdown import BreaksDown
from onejob.demo.shop.database import Pool, open_pool
from onejob.demo.shop.telemetry import start_tracing, trace_requests
from onejob.demo.shop.variant import variant_of_this_process

UPSTREAM_TIMEOUT_S = 4.0
# Longer than any client keeps an idle connection, so that it is never the server that closes one just as it is used.
KEEP_ALIVE_S = 3600
# The client looks at every idle connection at every request: more would cost more than opening one now and then.
IDLE_CONNECTIONS = 6
GC_THRESHOLD = 20_000
SWITCH_INTERVAL_S = 0.0005
POOL_SIZES = {"storefront": 4, "checkout": 12, "payments": 4}


def main() -> None:
    uvloop.run(_serve(_arguments()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m onejob.demo.shop")
    parser.add_argument("service", choices=sorted(POOL_SIZES))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--upstream", default="")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    provider = start_tracing()
    pool = await open_pool(arguments.database, POOL_SIZES[arguments.service])
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=IDLE_CONNECTIONS)
    upstream = httpx.AsyncClient(
        base_url=arguments.upstream, timeout=UPSTREAM_TIMEOUT_S, limits=limits, trust_env=False
    )
    app = await _application(arguments.service, provider, pool, upstream)
    config = uvicorn.Config(
        app,
        port=arguments.port,
        http="httptools",
        access_log=False,
        log_level="critical",
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=3,
    )
    _keep_calm()
    await uvicorn.Server(config).serve()


def _keep_calm() -> None:
    """Without these some requests take 10 ms longer than others, whatever the version.

    What was imported stays: looking through it at every collection is in vain. The exporter's thread encodes spans
    once a second: it must hand the interpreter back sooner than after the usual 5 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


async def _application(service: str, provider: TracerProvider, pool: Pool, upstream: httpx.AsyncClient) -> ASGIApp:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await upstream.aclose()
        await pool.close()
        provider.shutdown()

    app = FastAPI(lifespan=lifespan, docs_url=None, openapi_url=None)
    app.get("/healthz")(_healthy)
    match service:
        case "storefront":
            await storefront.build(app, pool, upstream)
        case "checkout":
            await checkout.build(app, pool, upstream)
        case _:
            payments.build(app, pool)
    trace_requests(app)
    how = variant_of_this_process().breakdown
    return BreaksDown(app, how) if how else app


async def _healthy() -> dict[str, str]:
    return {"status": "ok"}
