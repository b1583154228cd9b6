"""What a server says at its start about who may come in, and the link by which the first admin does."""

from onejob.access.accounts import LINK_LASTS
from onejob.access.service import Access
from onejob.config import Settings, is_loopback


def tell_login(settings: Settings, access: Access, port: int, *, new_link: bool) -> None:
    """Printed beside the addresses: the link lets in whoever is first to use it, once, within a day."""
    print(_reach(settings), flush=True)
    secret = access.accounts.first_admin_link(again=new_link) if access.is_required or new_link else None
    if secret is not None:
        print(
            f"Choose the password of the user `admin` within {LINK_LASTS.total_seconds() / 3600:.0f} hours, once:\n"
            f"  {settings.public_url or _address(settings.listen_host, port)}/welcome#{secret}",
            flush=True,
        )


def _reach(settings: Settings) -> str:
    if not settings.requires_login:
        return "Listening on loopback only, so no login is wanted; set ONEJOB_LISTEN_HOST to change that."
    telemetry = "with a token" if settings.require_ingest_tokens else "from everybody (ONEJOB_REQUIRE_INGEST_TOKENS)"
    if is_loopback(settings.listen_host):
        return "Pages and API want a login."
    return f"Listening on {settings.listen_host}: pages and API want a login; telemetry is taken {telemetry}."


def _address(host: str, port: int) -> str:
    """One that a browser on this machine can open, where the server listens on all."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"
