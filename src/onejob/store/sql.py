"""The few things SQL text needs: quoting, and reading statements that live in `.sql` files."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onejob.store.engine import Engine


def quote(value: str) -> str:
    """A string literal. NUL stays as it is: the engines' strings hold any byte."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """An identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def as_identifier(project: str) -> str:
    """A project's name as a part of one: another for each, as names have no underscore."""
    return project.replace("-", "_")


def array_of_strings(values: Iterable[str]) -> str:
    """An array literal; parameters bind scalars only."""
    return "[" + ", ".join(quote(value) for value in values) + "]"


def drop_table(engine: "Engine", name: str) -> None:
    """A table or a view, at once: else the engine keeps its room for some minutes, and refuses if that is large."""
    engine.execute(f"DROP TABLE IF EXISTS {quote_name(name)} SYNC SETTINGS max_table_size_to_drop = 0")


@cache
def read_query(name: str) -> str:
    """The text of queries/NAME.sql."""
    return resources.files("onejob.store").joinpath(f"queries/{name}.sql").read_text()


def statements(script: str, values: Mapping[str, object]) -> list[str]:
    """The statements of a script, its `${placeholders}` filled in."""
    filled = Template(script).substitute(values)
    return [part.strip() for part in filled.split(";\n") if part.strip()]
