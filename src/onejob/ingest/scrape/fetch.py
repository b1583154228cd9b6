"""A page over HTTP, bounded in size and time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from onejob import __version__
from onejob.ingest.bodies import gunzip
from onejob.ingest.errors import BadRequest, TooLarge
from onejob.ingest.scrape.pages import ACCEPT
from onejob.model.scrape import ScrapeTarget


@dataclass(frozen=True, slots=True)
class Fetched:
    text: str
    media: str


async def fetch(client: httpx.AsyncClient, target: ScrapeTarget, limit: int) -> Fetched:
    """Raises BadRequest with what is wrong with the target."""
    headers = {
        "accept": ACCEPT,
        "accept-encoding": "gzip",
        "user-agent": f"onejob/{__version__}",
        "x-prometheus-scrape-timeout-seconds": f"{target.timeout_s:g}",
    }
    try:
        async with (
            asyncio.timeout(target.timeout_s),
            client.stream("GET", target.url, headers=headers, timeout=target.timeout_s) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise BadRequest(f"it answers with HTTP status {answer.status_code}")
            body = await _read(answer, limit)
    except TimeoutError:
        raise BadRequest(f"it takes longer than {target.timeout_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise BadRequest(f"it cannot be reached ({str(error)[:200] or type(error).__name__})") from error
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        return Fetched(_unpacked(body, answer.headers.get("content-encoding", ""), limit).decode(), media)
    except UnicodeDecodeError:
        raise BadRequest("its page is not UTF-8") from None
    except TooLarge:
        raise _too_large(limit) from None


async def _read(answer: httpx.Response, limit: int) -> bytes:
    pieces, size = [], 0
    async for piece in answer.aiter_raw():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise BadRequest(f"it answers in {encoding[:50]!r}, which was not asked for")
    return gunzip(body, limit)


def _too_large(limit: int) -> BadRequest:
    return BadRequest(f"its page is larger than {limit} bytes (ONEJOB_SCRAPE_MAX_BYTES)")
