"""Compression of what is in an archive: Zstandard, which `zstd -d` reads too."""

import pyarrow as pa

_CODEC = pa.Codec("zstd", compression_level=3)


def packed(content: bytes) -> bytes:
    """As one frame."""
    result: bytes = _CODEC.compress(content, asbytes=True)
    return result


def unpacked(piece: bytes) -> bytes:
    """Inverse of `packed`."""
    with pa.CompressedInputStream(pa.py_buffer(piece), "zstd") as stream:
        result: bytes = stream.read()
    return result
