"""`onejob serve`: options become settings of the environment, then the server's own code is loaded.

It is loaded by name, because the small install does not have what it needs.
"""

import importlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from onejob.cli.errors import MissingExtraError

NEEDED = ("chdb", "fastapi", "grpc", "numpy", "pydantic_settings", "sqlalchemy", "uvicorn")


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address all ports listen on (ONEJOB_LISTEN_HOST, 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "--web-port", min=0, max=65535, help="Pages and API (ONEJOB_WEB_PORT, 8320)."),
    ] = None,
    otlp_grpc_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="OTLP over gRPC (ONEJOB_OTLP_GRPC_PORT, 4317).")
    ] = None,
    otlp_http_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="OTLP over HTTP (ONEJOB_OTLP_HTTP_PORT, 4318).")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept (ONEJOB_DATA_DIR).")] = None,
    new_admin_link: Annotated[
        bool, typer.Option("--new-admin-link", help="Print a one-time link for the user admin, whose password is lost.")
    ] = False,
) -> None:
    """Run the server.

    Telemetry in; verdicts, rollouts, pages and the API out; all in one process.

    Every other setting is an environment variable: docs/configuration.md lists them all. An option wins over its
    variable. A port of 0 picks a free one.
    """
    require_extra("server", NEEDED, "`onejob serve`")
    options = {
        "LISTEN_HOST": host,
        "WEB_PORT": port,
        "OTLP_GRPC_PORT": otlp_grpc_port,
        "OTLP_HTTP_PORT": otlp_http_port,
        "DATA_DIR": data_dir,
    }
    os.environ.update({f"ONEJOB_{name}": str(value) for name, value in options.items() if value is not None})
    # The judge's products are too small for more threads: those would only wait for each other, on all cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    raise typer.Exit(importlib.import_module("onejob.app").serve(new_admin_link=new_admin_link))


def require_extra(extra: str, modules: tuple[str, ...], command: str) -> None:
    """MissingExtraError names what to install if one of the modules is not there."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{command} needs what the small install leaves out ({', '.join(missing)}): "
            f"pip install 'onejob[{extra}]', or '.[{extra}]' in a clone."
        )
