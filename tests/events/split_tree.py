"""Branches below branches, which uproot reads but does not write: moved in the bytes of a file."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import uproot

EMPTY = bytes.fromhex("4000001500030001000000000300000000000000000000000000")[:25]
"""An array of objects without any, as uproot writes it."""
COUNT = 0x40000000
"""The flag of a number of bytes."""


def nest(path: str, tree: str, parent: str, children: int) -> None:
    """Move the branches that follow `parent` in a flat tree below it; the file keeps its length."""
    with uproot.open(path) as file:
        key = file.key(f"{tree};1")
        begin, end = key.fSeekKey, key.fSeekKey + key.fNbytes
        place = file[tree].keys(recursive=False).index(parent)
    content = bytearray(Path(path).read_bytes())
    metadata = bytes(content[begin:end])
    starts = [match.start() - 8 for match in re.finditer(b"TBranch\x00", metadata)]
    sizes = [(_number(metadata, start) & ~COUNT) + 4 for start in starts]
    tops = [0]  # of the branches that are not yet below another one
    for i in range(1, len(starts)):
        if starts[i] >= starts[tops[-1]] + sizes[tops[-1]]:
            tops.append(i)
    first, *below = tops[place : place + 1 + children]
    start, stop = starts[first], starts[first] + sizes[first]
    moved = metadata[stop : starts[below[-1]] + sizes[below[-1]]]
    branch = metadata[start:stop]
    at = branch.index(EMPTY)
    array = struct.pack(">I", COUNT | (21 + len(moved))) + EMPTY[4:17]
    array += struct.pack(">ii", children, 0) + moved
    new = bytearray(branch[:at] + array + branch[at + 25 :])
    for field in (0, 16):  # of the object and of its class
        struct.pack_into(">I", new, field, _number(new, field) + len(moved))
    after = starts[tops[-1]] + sizes[tops[-1]]
    leaves = bytearray(metadata[after:])
    for index in range(25, 25 + 4 * _number(leaves, 17), 4):
        reference = _number(leaves, index) - 2
        if start + at < reference < stop:
            struct.pack_into(">I", leaves, index, reference + 2 + len(moved))
        elif stop <= reference < stop + len(moved):
            struct.pack_into(">I", leaves, index, reference + 2 + at + 25 - len(branch))
    top = starts[0] - 8
    head = bytearray(metadata[:start])
    struct.pack_into(">i", head, top, _number(metadata, top) - children)
    content[begin:end] = head + new + metadata[stop + len(moved) : after] + leaves
    Path(path).write_bytes(content)


def rename(path: str, old: str, new: str) -> None:
    """Rename a branch and its leaf to a name of the same length."""
    content = Path(path).read_bytes()
    was, now = (bytes([len(name)]) + name.encode() for name in (old, new))
    Path(path).write_bytes(content.replace(was, now))


def _number(content: bytes | bytearray, place: int) -> int:
    return struct.unpack_from(">I", content, place)[0]
