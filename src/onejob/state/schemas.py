"""Facts of several projects in one PostgreSQL: a schema for each, and connections that look nowhere else."""

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateSchema, DropSchema

from onejob.state.database import Database


def schema_of(project: str) -> str:
    """Names of projects have no `_`, so that no two have the same."""
    return f"onejob_{project.replace('-', '_')}"


def url_within(url: str, schema: str) -> str:
    """The same database, where nothing but this schema is seen; who is given the address need know nothing of it."""
    parsed = make_url(url)
    said = parsed.query.get("options", "")
    options = f"{said if isinstance(said, str) else ' '.join(said)} -csearch_path={schema}".strip()
    return parsed.update_query_dict({"options": options}).render_as_string(hide_password=False)


def make_schema(database: Database, schema: str) -> None:
    """Unless it is there; of several servers that do so at once, one waits for the other."""
    with database.write() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": schema})
        connection.execute(CreateSchema(schema, if_not_exists=True))


def drop_schema(database: Database, schema: str) -> None:
    """With everything in it, if it is there."""
    with database.write() as connection:
        connection.execute(DropSchema(schema, cascade=True, if_exists=True))
