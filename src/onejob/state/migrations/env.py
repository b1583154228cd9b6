"""Runs the scripts on the connection `Database.migrate` holds; Alembic's own command line is not used."""

from alembic import context

from onejob.state.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
