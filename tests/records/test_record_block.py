"""Blocks: every record comes back byte for byte, and bad bytes are an error and nothing else."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.frames import frame
from gridbot.records import codec
from gridbot.records.block_reader import NewerJournal, bodies_of, is_block, read_block
from gridbot.records.codec import CodecError
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import JournalReader, newest_header
from gridbot.records.record_block import LEAST_ROWS, MOST_ROWS, block_of
from gridbot.records.state_record import StateRecord
from tests.case_table import case_table
from tests.examples import examples
from tests.records.test_codec import any_record
from tests.store.kit import execution, make_recorder, ticker

SPECIAL = ("\r", "\n", "\0", "\x1e", "\x1f")


def block(records: list[Any], first: int = 1, account: str = "alice", run_id: str = "run") -> bytes:
    return block_of(account, run_id, first, [1_700_000_000_000_000 + n for n in range(len(records))], records)


def bodies(records: list[Any], first: int = 1, account: str = "alice", run_id: str = "run") -> list[bytes]:
    times = range(1_700_000_000_000_000, 1_700_000_000_000_000 + len(records))
    rows = zip(range(first, first + len(records)), times, records, strict=True)
    return [codec.body_of(account, run_id, seq, at, record) for seq, at, record in rows]


def changed(body: bytes, **values: Any) -> bytes:
    """The body of a block that says something else of itself."""
    line, _, rest = body.partition(b"\r")
    doc = orjson.loads(line)
    doc["data"] |= {name: value for name, value in values.items() if name not in doc}
    return orjson.dumps(doc | {name: value for name, value in values.items() if name in doc}) + b"\r" + rest


@settings(max_examples=examples(60), deadline=None)
@given(
    records=st.lists(any_record(), min_size=1, max_size=8),
    repeats=st.integers(1, 3),
    first=st.integers(1, 2**61),
    account=st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
)
def test_records_of_every_kind_come_back_as_they_were(
    records: list[Any], repeats: int, first: int, account: str
) -> None:
    """Decimals with their scale. What has no form is refused, and only that."""
    records = records * repeats
    wanted = bodies(records, first, account, 'r"1')
    try:
        made = block(records, first, account, 'r"1')
    except CodecError:
        texts = [value for record in records for value in dataclasses.astuple(record) if isinstance(value, str)]
        assert any(sign in text for text in texts for sign in SPECIAL)
        return
    assert b"\n" not in made
    assert read_block(made).bodies() == wanted
    assert codec.peek(made) == ("block", first + len(records) - 1)
    kind = records[0].TABLE
    assert bodies_of(made, {kind}) == [body for body in wanted if codec.peek(body)[0] == kind]
    for body, record in zip(bodies_of(made), records, strict=True):
        assert codec.decode_body(body)[1] == record


def test_a_state_is_in_its_place_between_records() -> None:
    records = [execution(1), StateRecord(name="holds.json", document='{"a":1}'), execution(2), ticker(3)]  # type: ignore[arg-type]
    assert read_block(block(records)).bodies() == bodies(records)


@case_table(
    "changes",
    [
        {"order_id": "a\x1fb"},
        {"order_id": "a\rb"},
        {"order_id": "a\nb"},
        {"order_id": "a\0b"},
        {"order_id": "a\x1eb"},
        {"order_id": "\ud800"},
        {"order_id": 7},
        {"price": 1.5},
        {"price": "1.5"},
        {"exchange_ts": 2**63},
        {"exchange_ts": True},
        {"exchange_ts": "1"},
        {"is_maker": "yes"},
        {"is_maker": 2},
    ],
)
def test_what_has_no_form_is_refused_and_goes_as_json(changes: dict[str, Any], tmp_path_factory: Any) -> None:
    tmp_path = tmp_path_factory.mktemp("data")
    records = [execution(n) for n in range(1, 30)] + [execution(30, **changes)]
    with pytest.raises(CodecError):
        block(records)
    recorder = make_recorder(tmp_path)
    for number in (1, 2):
        assert [recorder.record(record) for record in records] == list(range(number * 30 - 29, number * 30 + 1))
        recorder.write()
    recorder.close()
    read = JournalReader(tmp_path / "journal" / "alice").read().bodies
    assert len(read) == 60 and not any(map(is_block, read))  # noqa: PT018 - they are counted together
    assert [codec.seq_of(body) for body in read] == list(range(1, 61))


HUGE = 2**40


@case_table(
    "changes",
    [
        {"form": 0},
        {"form": None},
        {"form": "1"},
        {"first": 0},
        {"first": 2},
        {"first": None},
        {"first": 40 - MOST_ROWS},
        {"seq": HUGE},
        {"seq": 5},
        {"account": 7},
        {"run_id": None},
        {"size": HUGE},
        {"size": -1},
        {"size": 10},
        {"size": "10"},
        {"parts": None},
        {"parts": [["executions", HUGE, "seq local_ts", "ii", [], 4]]},
        {"parts": [["executions", 1, "seq local_ts", "ii", [], HUGE]]},
        {"parts": [["executions", 1, "seq local_ts", "ii", [], -4]]},
        {"parts": [["executions", 1, "local_ts seq", "ii", [], 4]]},
        {"parts": [["executions", 1, "seq local_ts a", "ii", [], 4]]},
        {"parts": [["executions", 1, "seq local_ts a a", "ii==", [1, 2], 4]]},
        {"parts": [["executions", 1, "seq local_ts", "i?", [], 4]]},
        {"parts": [["executions", 1, "seq local_ts", "i=", [], 4]]},
        {"parts": [[7, 1, "seq local_ts", "ii", [], 4]]},
        {"parts": [["executions"]]},
        {"parts": [7]},
    ],
)
def test_a_block_that_says_what_cannot_be_is_an_error(changes: dict[str, Any]) -> None:
    body = changed(block([execution(n) for n in range(1, 41)]), **changes)
    with pytest.raises(CodecError):
        read_block(body)


@settings(max_examples=examples(150), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_bad_bytes_are_an_error_and_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    body = bytearray(block([execution(n) if n % 3 else ticker(n) for n in range(1, 20)]))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(body))
        match rng.randrange(3):
            case 0:
                body[at] = rng.randrange(256)
            case 1:
                del body[at : at + rng.randrange(1, 40)]
            case _:
                body[at:at] = bytes(rng.choices(b'\r\x1f\x1e0123456789\xff[]{}",n', k=rng.randrange(1, 9)))
    try:
        found = read_block(bytes(body)).bodies()
    except CodecError:
        return
    assert len(found) <= MOST_ROWS
    for each in found:
        assert codec.peek(each)[0]


def test_a_newer_form_is_refused_with_what_to_do_and_nothing_is_changed(tmp_path: Path) -> None:
    frames = frame(changed(block([execution(n) for n in range(1, 20)]), form=9))
    path = tmp_path / f"{1:020d}.journal"
    path.write_bytes(frames + b"torn")
    with pytest.raises(NewerJournal, match="newer version again: nothing was changed"):
        Journal(tmp_path, "alice")
    with pytest.raises(NewerJournal):
        list(JournalReader(tmp_path).read_from(1))
    assert path.read_bytes() == frames + b"torn"
    path.write_bytes(frame(block([execution(n) for n in range(1, 20)])))
    with Journal(tmp_path, "alice") as journal:
        assert journal.last_seq == 19


def test_one_large_write_after_another_is_a_block_and_a_small_one_is_not(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    given = 0
    for count in (3, LEAST_ROWS + 1, LEAST_ROWS, LEAST_ROWS - 1, LEAST_ROWS + 1, 2 * LEAST_ROWS, 2):
        for _ in range(count):
            given += 1
            assert recorder.record(execution(given) if given % 5 else ticker(given)) == given
        recorder.write()
    recorder.close()
    directory = tmp_path / "journal" / "alice"
    read = JournalReader(directory).read().bodies
    sizes = [len(bodies_of(body)) for body in read if is_block(body)]
    assert sizes == [LEAST_ROWS, 2 * LEAST_ROWS]
    found = list(JournalReader(directory).read_from(1))
    assert [header.seq for header, _ in found] == list(range(1, given + 1))
    assert [record for _, record in found] == [execution(n) if n % 5 else ticker(n) for n in range(1, given + 1)]
    within = given - 2 - LEAST_ROWS
    assert [header.seq for header, _ in JournalReader(directory).read_from(within)] == list(range(within, given + 1))
    tickers = JournalReader(directory).read_from(within, frozenset({"tickers"}))
    assert [header.seq for header, _ in tickers] == [n for n in range(within, given + 1) if n % 5 == 0]
    newest = newest_header(directory)
    assert newest is not None
    assert newest.seq == given
    assert make_recorder(tmp_path).last_seq == given


def test_a_block_with_an_execution_asks_for_an_early_sync_as_one_frame_does(tmp_path: Path, monkeypatch: Any) -> None:
    recorder = make_recorder(tmp_path)
    append, asked = recorder.journal.append, list[bool]()

    def noted(frames: bytes, last_seq: int, *, urgent: bool = False) -> bool:
        asked.append(urgent)
        return append(frames, last_seq, urgent=urgent)

    monkeypatch.setattr(recorder.journal, "append", noted)
    tickers: list[Any] = [ticker(n) for n in range(20)]
    for rows in (tickers, tickers, [*tickers, execution(1)], tickers, [execution(2)]):
        for row in rows:
            recorder.record(row)
        recorder.write()
    recorder.close()
    assert asked[:5] == [False, False, True, False, True]


def test_an_order_that_is_sent_comes_behind_what_waited_for_its_block(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    for _ in range(2):
        for n in range(20):
            recorder.record(ticker(n))
        recorder.write()
    recorder.record(ticker(41))
    assert recorder.record_sent(b'{"symbol":"BTCUSDT"}') == 42
    recorder.record(ticker(43))
    recorder.write_ahead()
    recorder.close()
    read = JournalReader(tmp_path / "journal" / "alice").read().bodies
    assert [codec.peek(body) for body in read[-3:]] == [("tickers", 41), ("orders", 42), ("tickers", 43)]


FRAMES = [*map(frame, bodies([execution(1), execution(2)])), frame(block([execution(n) for n in range(3, 23)], 3))]
WHOLE = b"".join(FRAMES)
HEAD_ENDS = WHOLE.index(b',"local_ts"', len(WHOLE) - len(FRAMES[-1]))
"""Up to here the block says whose it is and what its last number is."""


@settings(max_examples=examples(60), deadline=None)
@given(at=st.integers(0, len(WHOLE) - 1), flip=st.integers(0, 255))
def test_a_torn_or_damaged_end_gives_no_number_twice(at: int, flip: int, tmp_path_factory: Any) -> None:
    directory = tmp_path_factory.mktemp("journal")
    cut = not flip
    (directory / f"{1:020d}.journal").write_bytes(
        WHOLE[:at] if cut else WHOLE[:at] + bytes([WHOLE[at] ^ flip]) + WHOLE[at + 1 :]
    )
    with Journal(directory, "alice", "process") as journal:
        last = journal.last_seq
        if cut:
            assert last == sum(len(b"".join(FRAMES[: n + 1])) <= at for n in range(2)), (
                "what was not whole is not known"
            )
        elif not len(WHOLE) - len(FRAMES[-1]) + 16 <= at < HEAD_ENDS:
            assert last == 22, "the records of the block were whole once, and may be in the database"
        journal.append(frame(bodies([execution(99)], last + 1)[0]), last + 1)
    found = [header.seq for header, _ in JournalReader(directory).read_from(1)]
    assert found == sorted(set(found))
    assert found[-1] == last + 1
