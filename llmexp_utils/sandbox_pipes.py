"""Whole messages through pipes, each behind its length in four bytes."""

from __future__ import annotations

import os

CHUNK = 1 << 16
HEAD = 4


def read_exactly(descriptor: int, size: int) -> bytes:
    """So many bytes, or fewer at the end of a pipe."""
    data = b""
    while len(data) < size and (part := os.read(descriptor, size - len(data))):
        data += part
    return data


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes, however many calls that takes."""
    while data:
        data = data[os.write(descriptor, data) :]


def read_message(descriptor: int) -> bytes:
    """Next message; nothing at the end of a pipe. Only for one side that speaks when it is its turn: see there."""
    data = os.read(descriptor, CHUNK)  # with its head, in one call: whoever waits for an answer sends no other message
    if not data:
        return b""
    size = HEAD + int.from_bytes(data[:HEAD], "little")
    return (data + read_exactly(descriptor, size - len(data)))[HEAD:]


def write_message(descriptor: int, data: bytes) -> None:
    """Send a message."""
    write_all(descriptor, len(data).to_bytes(HEAD, "little") + data)
