"""Where an installation keeps its things: those of its projects, by the names they have in an archive."""

from __future__ import annotations

from onejob.config import Settings

DEFAULT = "default"
SPOOL = "spool.db"


def settings_of(settings: Settings, name: str) -> Settings:
    """Of one project, by those of the server."""
    del name  # there is one
    return settings
