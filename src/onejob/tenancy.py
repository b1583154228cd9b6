"""Where a project's things lie, and which settings hold in it: the server's, but for what is its own.

data_dir/                 the server's folder, and what `default` has in it
data_dir/projects/NAME/   state.db, spool/, and what else is kept in files
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from onejob.config import Settings
from onejob.model.project import Project
from onejob.state.schemas import schema_of, url_within

FOLDER = "projects"


def folder_of(server: Settings, name: str) -> Path:
    """The project's files."""
    return server.data_dir / FOLDER / name


def settings_of(server: Settings, project: Project) -> Settings:
    """Targets are scraped by the server, for all. Webhooks are signed with a secret of the project's own: whoever knows
    one team's must not write into another's.
    """
    its: dict[str, Any] = {"data_dir": folder_of(server, project.name), "scrape_targets": ()}
    if server.state_url is not None:
        its["state_url"] = SecretStr(url_within(server.state_url.get_secret_value(), schema_of(project.name)))
    if server.hook_secret is not None:
        its["hook_secret"] = SecretStr(hook_secret(server.hook_secret.get_secret_value(), project.name))
    return server.model_copy(update=its | project.own_limits())


def hook_secret(of_server: str, project: str) -> str:
    """In hexadecimal: the project's name, signed with the server's secret (HMAC-SHA256)."""
    return hmac.new(of_server.encode(), project.encode(), hashlib.sha256).hexdigest()
