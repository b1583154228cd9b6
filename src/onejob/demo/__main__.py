"""`python -m onejob.demo`: the same as `onejob demo`, for working on it."""

import argparse
import random
import sys
from pathlib import Path

from onejob.demo.main import run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m onejob.demo")
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--keep", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    sys.exit(run(headless=arguments.headless, report=arguments.report, seed=arguments.seed, keep=arguments.keep))
