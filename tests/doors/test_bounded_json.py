"""JSON with an end to its length and depth."""

from __future__ import annotations

import pytest

from gridbot.doors.bounded_json import DEEPEST, JsonMistake, read_json
from tests.case_table import case_table

BAD = (
    *(b"", b"[", b"nul", b"\xff\xfe", b"NaN", b"Infinity", b"9" * 5000, b'"\\ud800"', b"{1:2}", "\ud800", b"1 2"),
    b"[" * 100_000 + b"]" * 100_000,
    b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
    '{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1),
)


@case_table("text", BAD, ids=lambda text: f"{text!r:.20}")
def test_what_is_no_json_of_ours(text: bytes | str) -> None:
    with pytest.raises(JsonMistake):
        read_json(text)


def test_what_is_some() -> None:
    assert read_json(b'{"a": [1, "x"]}') == {"a": [1, "x"]}
    assert read_json(bytearray(b"5")) == 5
    assert read_json("null") is None
    assert isinstance(read_json(str(2**70)), float)
    deepest = read_json(b"[" * DEEPEST + b"]" * DEEPEST)
    assert len(repr(deepest)) == 2 * DEEPEST
    flat = read_json("[" + ",".join(["[{}]"] * 5 * DEEPEST) + "]")
    assert len(flat) == 5 * DEEPEST, "many brackets are not deep"


def test_an_end_to_its_length() -> None:
    assert read_json(b"12345", longest=5) == 12345
    with pytest.raises(JsonMistake, match="at most 5 bytes"):
        read_json(b"123456", longest=5)
