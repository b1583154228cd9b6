"""Lines out of pieces of bytes. One that is too long is cut, so that memory stays bounded."""

from collections.abc import Iterator

LONGEST_LINE = 64 * 2**10


class Lines:
    """What has no end yet waits for it."""

    def __init__(self) -> None:
        self._rest = b""
        self._cut = 0  # bytes of the rest that were not kept

    def add(self, piece: bytes) -> Iterator[tuple[bytes, int]]:
        """Whole lines without their end, each with how many bytes it took."""
        *whole, rest = piece.split(b"\n")
        for part in whole:
            line = self._rest + part
            yield line[:LONGEST_LINE], len(line) + self._cut + 1
            self._rest, self._cut = b"", 0
        self._rest += rest
        if len(self._rest) > LONGEST_LINE:
            self._cut += len(self._rest) - LONGEST_LINE
            self._rest = self._rest[:LONGEST_LINE]

    def last(self) -> Iterator[tuple[bytes, int]]:
        """What never got an end, if there is something."""
        if self._rest:
            yield self._rest, len(self._rest) + self._cut
        self._rest, self._cut = b"", 0
