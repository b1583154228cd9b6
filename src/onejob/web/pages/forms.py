"""Forms that pages send: small, and read without trusting what they are said to be."""

from urllib.parse import parse_qs

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse

from onejob.web.places import server_root_of, without

_MOST_BYTES = 16 * 1024
_LONGEST_ADDRESS = 2000  # some are kept while somebody is at the provider


async def form_of(request: Request) -> dict[str, str]:
    """The fields; of one that is sent twice, the first. 413, 400 for a body that no page of ours sends."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, "This is too much for a form.")
    try:
        fields = parse_qs(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise HTTPException(400, "This is no form of ours.") from error
    return {name: values[0] for name, values in fields.items()}


def local(request: Request, back: str | None) -> str:
    """Where to go back to, as browsers find it: never elsewhere, nor to what else a proxy shows beside this server."""
    root = server_root_of(request.scope)
    rest = without(back or "", root)
    is_local = rest.startswith("/") and not rest.startswith(("//", "/\\")) and rest.isprintable()
    is_local = is_local and len(rest) <= _LONGEST_ADDRESS and not _climbs(rest.partition("?")[0])
    return root + (rest if is_local else "/")


def _climbs(path: str) -> bool:
    """Browsers read a dot that is sent as %2E as one."""
    return "/.." in path.lower().replace("%2e", ".")


def back_to(request: Request, back: str | None) -> RedirectResponse:
    """On to where a form said that it was sent from."""
    return RedirectResponse(local(request, back), 303)
