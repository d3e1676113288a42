"""Whole messages through pipes."""

from __future__ import annotations

import os


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
