"""Alembic's scripts: one file per change of the tables, forward only, run by `Database.migrate`."""
