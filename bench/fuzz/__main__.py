"""An hour of random bytes and questions, over all cores: make fuzz ARGS="--minutes 60"

Bodies that led somewhere new are kept outside of the repository, in --corpus, and each run goes on from them; what
broke something is there too, in `broken`. Ends with 1 if anything did.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz.api import ask
from fuzz.targets import TARGETS

HERE = Path(__file__).resolve().parent
CORPUS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "onejob-fuzz"
_API = "api"
_API_SHARE = 0.25  # of the time of one core
_SLOW_S, _MEMORY_MB = 20, 2048  # one body that takes longer, or more, breaks something
_MOST_BYTES = 2**16
_GRACE_S = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`tried` bodies, or rounds of the API; `kept` bodies that led somewhere new; `broken` is empty if nothing was."""

    name: str
    tried: int
    kept: int
    broken: str


def drive(name: str, seconds: float, corpus: Path) -> Outcome:
    folder, broken = corpus / name.replace(" ", "-"), corpus / "broken"
    for one in (folder, broken):
        one.mkdir(parents=True, exist_ok=True)
    (folder / "right").write_bytes(TARGETS[name][1])
    before = set(broken.iterdir())
    command = [
        sys.executable, "-m", "fuzz.one", name, f"-max_total_time={seconds:.0f}", f"-timeout={_SLOW_S}",
        f"-rss_limit_mb={_MEMORY_MB}", f"-max_len={_MOST_BYTES}", f"-artifact_prefix={broken}/{folder.name}-",
        "-print_final_stats=1", str(folder),
    ]  # fmt: skip
    try:
        found = subprocess.run(
            command, cwd=HERE.parent, capture_output=True, check=False, timeout=seconds + _GRACE_S + _SLOW_S
        )
        said, ended = (found.stdout + found.stderr).decode(errors="replace"), found.returncode
    except subprocess.TimeoutExpired as error:
        said, ended = (error.stderr or b"").decode(errors="replace"), 1
    tried = re.search(r"number_of_executed_units:\s*(\d+)", said)
    new = ", ".join(str(path) for path in sorted(set(broken.iterdir()) - before))
    if ended:
        (broken / f"{folder.name}.txt").write_text(said)
    what = f"{_error_in(said)} {new or broken / f'{folder.name}.txt'}" if ended else ""
    return Outcome(name, int(tried[1]) if tried else 0, len(list(folder.iterdir())), what)


def _error_in(said: str) -> str:
    """The last line of the traceback, or libFuzzer's own words."""
    found = re.findall(r"^(?:[\w.]+(?:Error|Exception)\b.*|.*ERROR: libFuzzer.*)$", said, re.MULTILINE)
    return str(found[0]) if found else "ended badly:"


def run(minutes: float, corpus: Path, names: Collection[str]) -> list[Outcome]:
    """`names` are some of the targets, or the API."""
    cores = os.cpu_count() or 1
    targets = [name for name in TARGETS if name in names]
    api_share = _API_SHARE if _API in names else 0.0
    each = 60 * minutes * (cores - api_share) / max(1, len(targets))
    corpus.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(cores) as threads:
        api = threads.submit(ask, 60 * minutes * api_share, corpus) if api_share else None
        outcomes = list(threads.map(lambda name: drive(name, each, corpus), targets))
        if api is None:
            return outcomes
        rounds, broken = api.result()
    return [*outcomes, Outcome(f"{_API} (rounds)", rounds, 0, broken)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--only", action="append", choices=[*TARGETS, _API], help="once for each; all otherwise")
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    options = parser.parse_args()
    outcomes = run(options.minutes, options.corpus.resolve(), options.only or [*TARGETS, _API])
    for one in outcomes:
        print(f"{one.name:20} {one.tried:>12,} tried {one.kept:>8,} kept   {one.broken or 'nothing broken'}")
    broken = sum(bool(one.broken) for one in outcomes)
    print(f"{broken} of {len(outcomes)} broken; the corpus is in {options.corpus}.")
    raise SystemExit(broken > 0)


if __name__ == "__main__":
    main()
