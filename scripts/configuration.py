"""Writes docs/configuration.md from src/onejob/config.py: a setting that is not described there cannot exist.

python scripts/configuration.py [--check]
"""

from typing import Any, get_args

from made import write_or_check
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from onejob.config import Settings

HEAD = """<!-- Made by `make docs` from src/onejob/config.py; change that file, not this one. -->

# Configuration

Every setting of `onejob serve` is an environment variable. None is required. An option of the command line wins over
its variable; a variable that is empty counts as not set. The server names what it cannot read, and does not start;
it warns of a variable that begins with `ONEJOB_` and is none of these.

The commands for pipelines know two variables: `ONEJOB_URL`, where the server is (`http://127.0.0.1:8320`), and
`ONEJOB_TOKEN`, [who asks](security.md#tokens).

| variable | unless set | what it does |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    if not field.description:
        raise SystemExit(f"{name} in src/onejob/config.py has no description: say what it does.")
    choices = _choices(field.annotation)
    text = field.description.replace("|", "\\|") + (f" One of {choices}." if choices else "")
    return f"| `ONEJOB_{name.upper()}` | {_default(field.default)} | {text} |\n"


def _default(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{item}"' for item in value) + "]`"
    return f"`{value:_}`" if isinstance(value, int) and value >= 100_000 else f"`{value}`"


def _choices(annotation: Any) -> str:
    words = [value for value in get_args(annotation) if isinstance(value, str)]
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    write_or_check("configuration.md", page())
