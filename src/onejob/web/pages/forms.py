"""Forms that pages send: small, and read without trusting what they are said to be."""

from urllib.parse import parse_qs

from fastapi import HTTPException, Request

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


def local(back: str) -> str:
    """An address of this server to go back to: never one that leads elsewhere."""
    is_local = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    is_local = is_local and len(back) <= _LONGEST_ADDRESS
    return back if is_local else "/"
