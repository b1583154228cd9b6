"""A real browser, and the pages served on a real port over lists instead of a product."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from onejob.web.app import build
from waiting import PATIENT_S

from .builders import Lists

CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@contextmanager
def serve(data: Lists) -> Iterator[str]:
    """The application over `data`; yields its address."""
    config = uvicorn.Config(build(data), port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        data.events.close()
        server.should_exit = True
        thread.join(5)


@pytest.fixture
def site() -> Iterator[Callable[[Lists], str]]:
    """Serve some data for the length of a test."""
    with ExitStack() as stack:
        yield lambda data: stack.enter_context(serve(data))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium: Playwright's own download is not needed.

    One per module: while it is open an event loop runs in this thread, and nobody else's `asyncio.run` may.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "Chromium is missing: apt-get install chromium"
    expect.set_options(timeout=PATIENT_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile; whatever a page complains about in its console fails the test."""
    context = browser.new_context(viewport={"width": 1360, "height": 820})
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield context
    context.close()
    assert not [one for one in complaints if "favicon" not in one and "ERR_" not in one], complaints


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty tab."""
    page = context.new_page()
    page.set_default_timeout(PATIENT_S * 1000)
    return page
