"""Forms that pages send: small, and read without trusting what they are said to be."""

from urllib.parse import parse_qs

from fastapi import HTTPException, Request

_MOST_BYTES = 16 * 1024


async def form_of(request: Request) -> dict[str, str]:
    """The fields; of one that is sent twice, the first. 413 for a body that no page of ours sends."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, "This is too much for a form.")
    fields = parse_qs(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=50)
    return {name: values[0] for name, values in fields.items()}


def local(back: str) -> str:
    """An address of this server to go back to: never one that leads elsewhere."""
    is_local = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    return back if is_local else "/"
