"""What the scripts that make pages of docs/ have in common: where their part stands, and whether it is stale."""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
_BLOCK = re.compile(r"(<!-- Made by `make docs`[^\n]*-->\n\n).*?(\n<!-- The end of it. -->)", re.DOTALL)


def with_block(name: str, made: str) -> str:
    """The page of this name with another text where its comments say that one is made."""
    text = (DOCS / name).read_text()
    if not _BLOCK.search(text):
        raise SystemExit(f"docs/{name} has no place for what `make docs` writes any more.")
    return _BLOCK.sub(lambda found: found[1] + made + found[2], text)


def write_or_check(name: str, page: str) -> None:
    """Write the page, or with --check fail if it is stale."""
    target = DOCS / name
    if "--check" not in sys.argv:
        target.write_text(page)
    elif target.read_text() != page:
        raise SystemExit(f"docs/{name} is stale: make docs")
