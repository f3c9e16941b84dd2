"""Bytes in, one array of unsigned bytes out, or a UserError: the IDX format of MNIST, plain or gzipped."""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

from hyperopt_hn.errors import UserError

UNSIGNED_BYTE = 0x08  # the only element type that MNIST's family uses
MAX_DIMENSIONS = 4
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(data: bytes) -> NDArray[np.uint8]:
    """The array that an uncompressed IDX file holds; nothing is allocated on the word of its header.

    Layout: two zero bytes, element type, number of dimensions, then one big-endian uint32 for each dimension,
    then the elements in C order. The array is a read-only view of `data`.
    Raises UserError when a single byte is missing, left over or out of place.
    """
    if len(data) < 4:
        raise UserError(f"is truncated: {len(data)} bytes are too few for an IDX file")
    if data[:2] != b"\x00\x00" or data[2] != UNSIGNED_BYTE or not 1 <= data[3] <= MAX_DIMENSIONS:
        raise UserError(f"is not an IDX file of unsigned bytes (it begins with {data[:4].hex(' ')})")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise UserError(f"is truncated: {len(data)} bytes, but its header alone takes {start}")
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4))
    if 0 in shape:
        raise UserError(f"is empty: its header gives the shape {shape}")
    wanted = start + math.prod(shape)
    if len(data) != wanted:
        fault = "is truncated" if len(data) < wanted else "is too long"
        raise UserError(f"{fault}: {len(data)} bytes instead of the {wanted} of its header's shape {shape}")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def gunzip(data: bytes, limit: int) -> bytes:
    """The content of one whole gzip member, refused once it passes `limit` bytes (a gzip bomb stays small).

    Raises UserError when the stream is damaged, truncated, followed by other bytes, or longer than `limit`.
    """
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise UserError(f"is not a sound gzip file ({error})") from None
    if len(content) > limit:
        raise UserError(f"is too long: it unpacks to more than {limit} bytes")
    if not stream.eof:
        raise UserError("is truncated: its gzip stream has no end")
    if stream.unused_data:
        raise UserError(f"is too long: {len(stream.unused_data)} bytes follow its gzip stream")
    return content
