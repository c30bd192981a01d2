"""Texts that are compressed when they are older: a list of the newest ones, in a seventh of its memory."""

from __future__ import annotations

import sys
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.paper.accounts import packed_rows
from gridbot.paper.accounts.packed_rows import BLOCK_ROWS, KeyIndex, PackedRows, key_hash

KEEP = 7


@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=40), st.integers(1, 4))
def test_it_is_a_list_of_the_newest(steps: list[int | None], block_rows: int) -> None:
    """A step adds a row, or puts another text in the place of one; rows that are still to come are empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_rows, "BLOCK_ROWS", block_rows)
        rows, plain = PackedRows(KEEP, columns=1), deque[tuple[int, bytes]](maxlen=KEEP)
        (numbers,) = rows.columns
        for step, place in enumerate(steps):
            if place is None:
                oldest = plain[0][0] if len(plain) == KEEP else None
                assert rows.append(b"" if step % 3 == 0 else b"%d" % step, 100 + rows.end) == oldest
                plain.append((rows.end - 1, b"" if step % 3 == 0 else b"%d" % step))
                rows.forget()
            elif place < len(plain):
                position = plain[place][0]
                rows.replace(position, b"other %d" % step)
                plain[place] = position, b"other %d" % step
        wanted = [text for _, text in plain]
        texts = rows.texts()
        assert (len(rows), list(texts)) == (len(wanted), wanted)
        assert [texts[position] for position, _ in plain] == wanted
        assert [numbers[position - rows.base] for position, _ in plain] == [100 + position for position, _ in plain]
        assert len(numbers) < KEEP + block_rows
        copy = rows.copy({position: b"instead" for position, text in plain if not text})
        for position, _ in plain:
            rows.replace(position, b"changed")
        assert list(copy) == [text or b"instead" for text in wanted]


def test_rows_need_a_seventh_of_their_memory() -> None:
    rows = PackedRows(10 * BLOCK_ROWS, columns=0)
    size = 0
    for number in range(10 * BLOCK_ROWS):
        text = b'[%d,"0194f2c8-77aa-4000-8000-%012x","BTCUSDT","Buy","60000.%d","0.001","1"]' % (number, number, number)
        size += sys.getsizeof(text)
        rows.append(text)
    assert sum(map(sys.getsizeof, rows._blocks)) < size / 7


def test_an_index_finds_all_that_may_have_a_key_the_newest_first() -> None:
    index = KeyIndex()
    for position, hashed in enumerate((5, 3, 5, 9, 5)):
        index.add(hashed, position)
    assert [list(index.newest_first(hashed)) for hashed in (3, 5, 7, 9)] == [[1], [4, 2, 0], [], [3]]
    index.remove(5, 0)
    index.remove(3, 1)
    assert [list(index.newest_first(hashed)) for hashed in (3, 5)] == [[], [4, 2]]
    assert len(index) == 3
    assert 0 <= key_hash("a key") < 1 << 32
