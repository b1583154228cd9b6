"""Photograph the pages of a running server for the documentation, light and dark.

    onejob demo --keep        # in another terminal; it prints the address
    python scripts/screenshots.py http://127.0.0.1:8320 [--out docs/images]

Takes the list, the newest deployment of each verdict, and, where nothing is deployed, the empty page.
"""

import argparse
import shutil
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def pages(base_url: str) -> dict[str, str]:
    """Name of the picture to path of the page."""
    items = httpx.get(f"{base_url}/api/v1/deployments", params={"limit": 100}, timeout=30).json()["items"]
    if not items:
        return {"nothing-yet": "/"}
    found = {"deployments": "/deployments"}
    for item in items:
        state = (item["verdict"] or {}).get("state", "not-judged").replace("_", "-")
        found.setdefault(f"deployment-{state}", f"/deployments/{item['id']}")
    return found


def photograph(browser: Browser, base_url: str, path: str, scheme: str, target: Path) -> None:
    """The whole page, once its sparklines are there."""
    page = browser.new_page(viewport={"width": 1360, "height": 820}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(base_url + path, wait_until="load")
    page.wait_for_timeout(1500)
    page.screenshot(path=target, full_page=True)
    page.close()


def main() -> None:
    """Every page in both themes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base_url")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    base_url = options.base_url.rstrip("/")
    options.out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for name, path in pages(base_url).items():
            for scheme in ("light", "dark"):
                target = options.out / f"{name}-{scheme}.png"
                photograph(browser, base_url, path, scheme, target)
                print(target)
        browser.close()


if __name__ == "__main__":
    main()
