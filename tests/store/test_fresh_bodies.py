"""What was committed last, from memory: all of it in order, each once, or the word that it is in the file only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gridbot.records.block_reader import Part, read_block
from gridbot.records.record_block import block_of
from gridbot.store.commit import Rows
from gridbot.store.fresh_bodies import FreshBodies
from tests.examples import examples
from tests.store.kit import execution

KINDS = ("executions", "orders", "tickers")
SENT = frozenset(KINDS[:2])
commits = st.tuples(
    st.just("commit"),
    st.dictionaries(st.sampled_from("ab"), st.lists(st.sampled_from(KINDS), min_size=1, max_size=6), min_size=1),
    st.sampled_from(["whole", "whole", "block", "misfit"]),
)
steps = st.lists(
    st.one_of(commits, st.tuples(st.just("take"), st.integers(1, 5)), st.tuples(st.just("forget"))), max_size=25
)


def body(account: str, seq: int, kind: str) -> bytes:
    return orjson.dumps({"kind": kind, "account": account, "run_id": "r", "seq": seq, "local_ts": 1, "data": {}})


def block(account: str, first: int, count: int) -> Sequence[Part]:
    records = [execution(number) for number in range(first, first + count)]
    return read_block(block_of(account, "r", first, [1] * count, records)).parts


@settings(max_examples=examples(150), deadline=None)
@given(steps, st.sampled_from([150, 8_000_000]))
def test_each_record_comes_once_and_in_order_and_what_is_not_known_is_said(done: list[Any], most: int) -> None:
    """A sender that asks the file (all that was ever committed) when it has to misses nothing, and doubles nothing."""
    fresh = FreshBodies(SENT, most)
    file: dict[str, list[tuple[int, str]]] = {"a": [], "b": []}
    committed: dict[str, int] = {}
    position: dict[str, int] = {}
    sent: dict[str, list[tuple[int, str]]] = {"a": [], "b": []}

    def take(limit: int) -> None:
        chunk = fresh.take(position, committed, limit)
        event("from the file" if chunk is None else "from memory")
        if chunk is None:
            for account, upto in committed.items():
                sent[account] += [row for row in file[account] if row[0] > position.get(account, 0)]
                position[account] = upto
            return
        assert len(chunk.rows) <= limit
        for row in chunk.rows:
            assert orjson.loads(row.body)["seq"] == row.seq
            sent[row.account].append((row.seq, row.kind))
        assert chunk.more or all(chunk.upto.get(name, position.get(name, 0)) >= committed[name] for name in committed)
        position.update(chunk.upto)

    for step in done:
        match step:
            case ("commit", what, way):
                rows = Rows()
                for account, kinds in what.items():
                    first = committed.get(account, 0) + 1
                    rows.offsets[account] = first + len(kinds) - 1
                    if way == "block":
                        kinds = ["executions"] * len(kinds)
                        rows.parts.setdefault("executions", []).extend(block(account, first, len(kinds)))
                    for seq, kind in enumerate(kinds, first):
                        file[account] += [(seq, kind)] if kind in SENT else []
                        if way != "block":
                            rows.tables.setdefault(kind, []).append(body(account, seq, kind))
                fresh.add(committed, rows, whole=way != "misfit")
                committed |= rows.offsets
            case ("take", limit):
                take(limit)
            case _:
                fresh.clear()
    for _ in range(1 + sum(map(len, file.values()))):
        take(3)
    assert sent == file
    assert position == committed
    assert fresh._bytes == sum(len(row.body) for span in fresh._spans.values() for row in span.rows) <= most
