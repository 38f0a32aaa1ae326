"""The wire format of protocol buffers, as much of it as a file of weights needs.

A message is a row of fields: a key (number of the field and kind of its value) and the value. Nothing is copied: long
values are views into the file.

References
----------
"Encoding", protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of values; 3 and 4 are groups, given up in 2008


class WireFormatError(ValueError):
    """Bytes that are no message; it says where and why."""


def fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield number, kind and value of every field: an int for `VARINT`, else a view of the value's bytes.

    Raises
    ------
    WireFormatError
        If a field is cut off, or of a kind or number that does not exist.
    """
    position = 0
    while position < len(message):
        start = position
        key, position = read_varint(message, position)
        number, kind = key >> 3, key & 7
        if number == 0 or kind not in (VARINT, FIXED64, BYTES, FIXED32):
            raise WireFormatError(f"byte {start} begins field {number} of kind {kind}, which does not exist")
        if kind == VARINT:
            value, position = read_varint(message, position)
            yield number, kind, value
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(kind)
        if size is None:
            size, position = read_varint(message, position)
        if size > len(message) - position:
            raise WireFormatError(
                f"field {number} at byte {start} should have {size} bytes, {len(message) - position} are left"
            )
        yield number, kind, message[position : position + size]
        position += size


def values(message: memoryview, number: int, *kinds: int) -> list[int | memoryview]:
    """Return the values of all fields of this number and one of these kinds, in order."""
    return [value for n, kind, value in fields(message) if n == number and kind in kinds]


def read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a whole number, 7 bits a byte and the lowest first, and the position behind it.

    Raises
    ------
    WireFormatError
        If the message ends within it, or it has more than 64 bits.
    """
    result = 0
    for count, byte in enumerate(message[position : position + 10]):
        result |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return result, position + count + 1
    raise WireFormatError(f"the number at byte {position} does not end within 10 bytes or the message")
