"""An engine while which answers something else happens: what comes between reading and keeping."""

from collections.abc import Callable
from typing import Any

from onejob.store.engine import Engine


class Meanwhile:
    """The engine. `act` happens once, when the next rows have been read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.act: Callable[[], object] | None = None

    def query(self, *args: Any, **options: Any) -> Any:
        found = self._engine.query(*args, **options)
        act, self.act = self.act, None
        if act is not None:
            act()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)
