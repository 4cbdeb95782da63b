"""Scalars of TensorBoard's event files, without the tensorboard package.

A file is a row of records: length (uint64), its masked CRC-32C, the data, their masked CRC-32C
(TFRecord). The data are a message ``Event`` of Protocol Buffers: wall_time = 1, step = 2,
summary = 5, with ``Summary.Value`` = 1: tag = 1, simple_value = 2, tensor = 8 (``TensorProto``:
dtype = 1, tensor_content = 4, float_val = 5, double_val = 6). Sources: tensorflow/core/lib/io and
tensorflow/core/framework/{summary,tensor}.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steepest.errors import InputError

LARGEST = 1 << 16
"""Bytes of a record with scalars at most; images and histograms are skipped."""
_SCALARS = {1: ("<f", 4), 2: ("<d", 8)}
"""The types of a tensor that are read: float32, float64."""


def scalars_of(file: Path) -> Iterator[tuple[str, int, float]]:
    """Yield (tag, step, value) of every scalar, in the order of the file.

    A last record that is cut off ends it: the file of a program that still writes, or was killed.

    Raises
    ------
    InputError
        The file is damaged, or no event file.
    """
    for data in _records(file):
        try:
            yield from _scalars(data)
        except (IndexError, struct.error, UnicodeDecodeError):
            raise _damaged(file, "a record is no event") from None


def _records(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while len(header := stream.read(12)) == 12:
            length, check = struct.unpack("<QI", header)
            if _masked_crc(header[:8]) != check:
                raise _damaged(file, f"no record at byte {stream.tell() - 12:,}")
            if length > LARGEST:
                stream.seek(length + 4, 1)
                continue
            data, end = stream.read(length), stream.read(4)
            if len(data) < length or len(end) < 4:
                return
            if _masked_crc(data) != struct.unpack("<I", end)[0]:
                raise _damaged(file, f"a wrong checksum before byte {stream.tell():,}")
            yield data


def _scalars(data: bytes) -> Iterator[tuple[str, int, float]]:
    event = dict(_fields(data))
    for number, value in _fields(event.get(5, b"")):
        if number != 1:
            continue
        fields = dict(_fields(value))
        scalar = _scalar(fields)
        if scalar is not None and 1 in fields:
            yield fields[1].decode(), event.get(2, 0), scalar


def _scalar(fields: dict[int, Any]) -> float | None:
    if 2 in fields:
        return struct.unpack("<f", fields[2])[0]
    tensor = dict(_fields(fields.get(8, b"")))
    form, size = _SCALARS.get(tensor.get(1, 0), ("", 0))
    content = tensor.get(4) or tensor.get(5 if size == 4 else 6)
    if not size or content is None or len(content) != size:
        return None
    return struct.unpack(form, content)[0]


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and content of each field: an integer, or bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
        else:
            if kind == 2:
                size, place = _varint(message, place)
            else:
                size = {1: 8, 5: 4}[kind] if kind in (1, 5) else len(message) + 1
            if place + size > len(message):
                raise IndexError
            value, place = message[place : place + size], place + size
        yield key >> 3, value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _table() -> list[int]:
    """CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), by bytes."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _damaged(file: Path, found: str) -> InputError:
    return InputError(
        f"{file} cannot be read as an event file of TensorBoard.",
        expected="records with their lengths and checksums",
        found=found,
        cause="the file is damaged, or of another kind",
        do="copy it again, or give the losses as a CSV file",
    )
