"""Lines, messages that are not too long, and what an answer of the Bot API means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.telegram.bot_answers import Answered, Kind, Problem, Waits, read_answer
from supervisor.telegram.chat_text import LONGEST_PIECE, MOST_PIECES, bold, code, line, pieces

from .bot_server import TOKEN


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_words_of_others_are_no_markup_and_no_lines_of_their_own() -> None:
    assert line("<a href='x'>&</a>\n/kill") == "&lt;a href='x'&gt;&amp;&lt;/a&gt;\\n/kill"
    assert (bold("<b>"), code("&")) == ("<b>&lt;b&gt;</b>", "<code>&amp;</code>")
    assert pieces([]) == ["-"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lifted by: /x/bin/gridbot-supervisor resume a/b --data-dir /x/data", "lifted by: /resume a/b"),
        ("`gridbot-supervisor why a -c '/a b/c.yaml'`, then", "`/why a`, then"),
        ("'/a b/gridbot-supervisor' pause a b --cancel --data-dir x; y", "/pause a b --cancel; y"),
        ("gridbot-supervisor restart a --data-dir x", "gridbot-supervisor restart a --data-dir x"),
    ],
)
def test_a_command_line_is_shown_as_it_is_written_in_a_chat(text: str, shown: str) -> None:
    assert line(text) == shown


@given(st.lists(st.text(max_size=2000), max_size=60))
def test_every_message_fits_and_no_line_is_cut_or_lost_without_a_word(texts: list[str]) -> None:
    lines = [bold(text) for text in texts]
    found = pieces(lines)
    assert all(units(piece) <= LONGEST_PIECE + 96 for piece in found)
    assert len(found) <= MOST_PIECES
    shown = "\n".join(found).split("\n")
    left = len(lines) - len(shown) if lines else 0
    if "more line" in shown[-1]:
        left += 1
        assert f"and {left} more" in shown.pop()
    assert shown == (lines[: len(shown)] or ["-"])
    assert left == 0 or len(shown) + left == len(lines)


def test_a_line_of_the_longest_signs_fits() -> None:
    assert units(line("&" * 5000)) < LONGEST_PIECE
    assert units(line("\U0001f600" * 5000)) < LONGEST_PIECE


@pytest.mark.parametrize(
    ("status", "body", "kind", "after_s"),
    [
        (401, {"ok": False, "error_code": 401, "description": f"no {TOKEN}"}, Kind.TOKEN, 0),
        (404, {"ok": False, "error_code": 404}, Kind.TOKEN, 0),
        (409, {"ok": False, "error_code": 409}, Kind.CONFLICT, 0),
        (429, {"ok": False, "error_code": 429, "parameters": {"retry_after": 7}}, Kind.SLOW_DOWN, 7),
        (429, {"ok": False, "error_code": 429, "parameters": {"retry_after": "soon"}}, Kind.SLOW_DOWN, 1),
        (429, {"ok": False, "error_code": 429}, Kind.SLOW_DOWN, 1),
        (400, {"ok": False, "error_code": 400, "description": "x" * 5000}, Kind.REFUSED, 0),
        (200, {"ok": False}, Kind.REFUSED, 0),
        (500, {"ok": False, "error_code": 500}, Kind.AWAY, 0),
        (503, b"<html>", Kind.AWAY, 0),
        (200, b"", Kind.GARBAGE, 0),
        (200, b"[" * 100_000, Kind.GARBAGE, 0),
        (200, [], Kind.GARBAGE, 0),
        (200, {"ok": 1}, Kind.GARBAGE, 0),
        (302, b"", Kind.GARBAGE, 0),
    ],
)
def test_what_an_answer_means(status: int, body: Any, kind: Kind, after_s: float) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = read_answer(status, raw, (TOKEN, TOKEN.partition(":")[2]))
    assert isinstance(found, Problem)
    assert (found.kind, found.after_s) == (kind, after_s)
    assert TOKEN.partition(":")[2] not in found.text
    assert len(found.text) < 400
    assert read_answer(200, b'{"ok": true, "result": 7}') == Answered(7)


def test_how_long_is_waited() -> None:
    waits = Waits()
    away, slow = Problem(Kind.AWAY, ""), Problem(Kind.SLOW_DOWN, "", 40.0)
    assert [waits.after(away, n) for n in (1, 2, 3, 7, 1000)] == [1.0, 2.0, 4.0, 60.0, 60.0]
    assert [waits.after(slow, n) for n in (1, 1000)] == [40.0, 60.0]
    assert waits.after(Problem(Kind.SLOW_DOWN, "", 1e9), 1) == 900.0
    assert [waits.after(Problem(Kind.TOKEN, ""), n) for n in (1, 2)] == [600.0, 600.0]
    assert [waits.after(Problem(Kind.CONFLICT, ""), n) for n in (1, 2, 1000)] == [1.0, 2.0, 60.0]
