"""Texts of rows in the order in which they came: the newest so many, of which the older ones are compressed. Pure.

    position:  0 ........ 127 | 128 ..... 255 | 256 ... 300
               one block        one block       the newest rows, plain

A block of similar rows needs a seventh of the memory of its texts. It is compressed when it is full and all its rows
are final. Beside each text stand whole numbers, which choose rows without reading them.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

__all__ = ["BLOCK_ROWS", "KeyIndex", "PackedRows", "Texts", "key_hash"]

BLOCK_ROWS = 128
BLOCKS_READ = 4
BLOCKS_KEPT = 32
"""Of all accounts together, as they were read last: 40 kB each."""
_Block = list[bytes] | bytes


class Texts:
    """Texts by their positions. Reading needs memory for a few blocks, whatever is read."""

    def __init__(self, blocks: Sequence[_Block], base: int, first: int) -> None:
        self._blocks = blocks
        self._base = base
        self._first = first
        self._read: dict[int, list[bytes]] = {}

    def __getitem__(self, position: int) -> bytes:
        number, place = divmod(position - self._base, BLOCK_ROWS)
        return self._rows(number)[place]

    def __iter__(self) -> Iterator[bytes]:
        """All of them, the oldest first."""
        skip = self._first - self._base
        for number in range(len(self._blocks)):
            yield from islice(_plain(self._blocks[number]), skip, None)
            skip = 0

    def _rows(self, number: int) -> list[bytes]:
        block = self._blocks[number]
        if isinstance(block, list):
            return block
        rows = self._read.get(number)
        if rows is None:
            if len(self._read) == BLOCKS_READ:
                del self._read[next(iter(self._read))]
            rows = self._read[number] = _plain(block)
        return rows


class PackedRows:
    """The newest `keep` rows, with `columns` whole numbers (64 bits) each. Positions count all rows that ever came."""

    def __init__(self, keep: int, columns: int) -> None:
        self._keep = keep
        self._blocks: deque[_Block] = deque()
        self.columns = tuple(array("q") for _ in range(columns))
        """The numbers of the rows from position `base` on."""
        self.base = 0
        self.first = 0
        """Position of the oldest row."""
        self.end = 0
        """Position of the next row."""

    def __len__(self) -> int:
        return self.end - self.first

    def append(self, text: bytes, *numbers: int) -> int | None:
        """Add the newest row; return the position of the one that went for it. An empty text is one that is to come."""
        if (self.end - self.base) % BLOCK_ROWS == 0:
            self._blocks.append([])
        newest = self._blocks[-1]
        assert isinstance(newest, list)
        newest.append(text)
        for column, number in zip(self.columns, numbers, strict=True):
            column.append(number)
        self.end += 1
        self._pack(len(self._blocks) - 1)
        if len(self) <= self._keep:
            return None
        self.first += 1
        return self.first - 1

    def forget(self) -> None:
        """Give the memory of a block back when all its rows have gone; their numbers can be read until then."""
        while self.first - self.base >= BLOCK_ROWS:
            self._blocks.popleft()
            self.base += BLOCK_ROWS
            for column in self.columns:
                del column[:BLOCK_ROWS]

    def replace(self, position: int, text: bytes) -> None:
        """Put another text in the place of a row."""
        number, place = divmod(position - self.base, BLOCK_ROWS)
        rows = list(_plain(self._blocks[number]))
        rows[place] = text
        self._blocks[number] = rows
        self._pack(number)

    def texts(self) -> Texts:
        """To be read before anything changes."""
        return Texts(self._blocks, self.base, self.first)

    def copy(self, instead: Mapping[int, bytes] | None = None) -> Texts:
        """All texts as they are now, with others at some positions; to be read at any time, in any thread."""
        blocks = [block if isinstance(block, bytes) else list(block) for block in self._blocks]
        for position, text in (instead or {}).items():
            number, place = divmod(position - self.base, BLOCK_ROWS)
            rows = list(_plain(blocks[number]))
            rows[place] = text
            blocks[number] = rows
        return Texts(blocks, self.base, self.first)

    def _pack(self, number: int) -> None:
        block = self._blocks[number]
        if isinstance(block, list) and len(block) == BLOCK_ROWS and all(block):
            self._blocks[number] = zlib.compress(b"\n".join(block))  # JSON has no newline inside


def _plain(block: _Block) -> list[bytes]:
    return _unpacked(block) if isinstance(block, bytes) else block


@lru_cache(maxsize=BLOCKS_KEPT)
def _unpacked(block: bytes) -> list[bytes]:
    """Its rows, to be read only: the next page of a listing begins in the block in which the last one ended."""
    return zlib.decompress(block).split(b"\n")


def key_hash(key: str) -> int:
    """32 bits of a key; what it finds has to be compared with the key itself."""
    return zlib.crc32(key.encode())


class KeyIndex:
    """Positions of rows by the hashes of their keys: 12 bytes for each."""

    def __init__(self) -> None:
        self._hashes = array("I")
        self._positions = array("q")

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, hashed: int, position: int) -> None:
        """Add a row that is newer than all others."""
        at = bisect_right(self._hashes, hashed)
        self._hashes.insert(at, hashed)
        self._positions.insert(at, position)

    def remove(self, hashed: int, position: int) -> None:
        """Take out a row that was added."""
        at = self._positions.index(position, bisect_left(self._hashes, hashed))
        del self._hashes[at], self._positions[at]

    def newest_first(self, hashed: int) -> Sequence[int]:
        """Positions of the rows that may have the key."""
        start = bisect_left(self._hashes, hashed)
        if start == len(self._hashes) or self._hashes[start] != hashed:
            return ()
        return self._positions[start : bisect_right(self._hashes, hashed)][::-1]
