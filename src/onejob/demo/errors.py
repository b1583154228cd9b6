"""What can go wrong with a demo; every message says what to do."""


class DemoError(Exception):
    """The demo cannot go on."""
