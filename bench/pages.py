"""Server time of the pages against a running server: median and p95 of repeated requests, and their size.

    python bench/pages.py http://127.0.0.1:8320 [--requests 50] [--deployment dep_...]

Without `--deployment`, the newest one with a verdict is taken. Exit code 1 if a page is over its budget.
"""

import argparse
import statistics
import sys
import time

import httpx

BUDGET_MS = 100.0
BUDGET_BYTES = 60_000


def newest_judged(client: httpx.Client) -> str:
    """The id of a deployment whose page has something to show."""
    items = client.get("/api/v1/deployments", params={"limit": 100}).json()["items"]
    if not items:
        raise SystemExit("The server has no deployment yet: report one, or run the demo with --keep.")
    worse = [one for one in items if one["verdict"] and one["verdict"]["state"] == "worse"]
    judged = [one for one in items if one["verdict"] and one["verdict"]["signals"]]
    return str((worse or judged or items)[0]["id"])


def measure(client: httpx.Client, path: str, requests: int) -> tuple[float, float, int]:
    """(median ms, p95 ms, bytes); the first request is a warm-up and not counted."""
    client.get(path).raise_for_status()
    times, size = [], 0
    for _ in range(requests):
        begun = time.perf_counter()
        answer = client.get(path)
        times.append((time.perf_counter() - begun) * 1000)
        answer.raise_for_status()
        size = len(answer.content)
    return statistics.median(times), sorted(times)[round(len(times) * 0.95) - 1], size


def main() -> int:
    """Measure and print one line per page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base_url")
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--deployment", default="")
    options = parser.parse_args()
    within = True
    with httpx.Client(base_url=options.base_url, timeout=30) as client:
        chosen = options.deployment or newest_judged(client)
        print(f"{'page':<48} {'median ms':>10} {'p95 ms':>8} {'bytes':>8}")
        for path in ("/deployments", f"/deployments/{chosen}", f"/deployments/{chosen}/spark.svg"):
            median, p95, size = measure(client, path, options.requests)
            within = within and median < BUDGET_MS and size < BUDGET_BYTES
            print(f"{path:<48} {median:>10.1f} {p95:>8.1f} {size:>8,}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
