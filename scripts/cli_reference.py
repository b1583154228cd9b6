"""Writes docs/cli.md from the commands' own help.

python scripts/cli_reference.py [--check]
"""

import os
from collections.abc import Iterator

import typer.main
from made import write_or_check

from onejob.cli.main import app

HEAD = """<!-- Made by `make docs` from src/onejob/cli; change that, not this page. -->

# Command line

`pip install .` in a clone is enough for every command but `serve` (`pip install '.[server]'`) and `demo` (`'.[demo]'`).
Commands talk to the server at `--url` or `ONEJOB_URL`, with the token in `ONEJOB_TOKEN` where it wants a login.

They end with 0, or with 1 if the server refused, 2 if the command line makes no sense, and 4 if something is not known
or the server cannot be reached; [the gate](gate.md) gives 1 and 3 meanings of its own. What programs read is on
standard output, what people read on standard error.
"""


def page() -> str:
    """The whole page."""
    os.environ |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100"}
    return HEAD + "".join(_sections(typer.main.get_command(app), "onejob"))


def _sections(command: object, name: str, parent: object = None) -> Iterator[str]:
    made = command.make_context(name, ["--help"], parent=parent, resilient_parsing=True)  # type: ignore[attr-defined]
    children = getattr(command, "commands", {})
    if not children:
        yield f"\n## {made.command_path}\n\n```text\n{command.get_help(made).rstrip()}\n```\n"  # type: ignore[attr-defined]
    for child_name, child in children.items():
        yield from _sections(child, child_name, made)


if __name__ == "__main__":
    write_or_check("cli.md", page())
