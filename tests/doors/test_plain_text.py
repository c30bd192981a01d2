"""Words of others on their way to a screen."""

from __future__ import annotations

import json

from gridbot.doors.plain_text import for_people, json_line, one_line, printable, printable_lines, shown
from tests.case_table import case_table

FORGED = "ok\n2026-11-29 12:00 ERROR all lost\x1b[2J\x9b31m\r\u2028\u202e\ud800\x00"


def test_words_stay_on_their_line_and_move_no_cursor() -> None:
    text = one_line(FORGED)
    assert text.isprintable()
    assert text == r"ok\n2026-11-29 12:00 ERROR all lost\x1b[2J\x9b31m\r\u2028\u202e\ud800\x00"
    text.encode()


def test_words_have_an_end() -> None:
    assert one_line("x" * 300) == "x" * 300
    assert one_line("x" * 200_000) == "x" * 300 + "... (200000 characters)"
    assert one_line("\n" * 10, 3) == r"\n\n\n... (10 characters)"


def test_what_is_plain_stays_as_it_is() -> None:
    for text in ("", "10001: params error, ü 币 [bold]", "a b"):
        assert one_line(text) == printable(text) == json_line(text) == printable_lines(text) == text
    assert printable_lines("a\nb\x1b") == "a\nb\\x1b"


def test_a_json_line_says_the_same() -> None:
    document = {"a": "x\x9b\x7f\u2028 \U000e0001"}
    line = json_line(json.dumps(document, ensure_ascii=False))
    assert line.isprintable()
    assert json.loads(line) == document


def test_a_whole_model_for_people() -> None:
    model = {"rows": [{"te\nxt": "\x1b[31m"}, 5, None], "n": (1.5, "\n")}
    assert for_people(model) == {"rows": [{"te\\nxt": "\\x1b[31m"}, 5, None], "n": [1.5, "\\n"]}


@case_table(
    ("value", "text"),
    [("x", "'x'"), (5, "5"), (None, "None"), ([1], "a list of 1"), ({}, "an object of 0"), ((1, 2), "a list of 2")],
)
def test_a_value_as_it_came(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_value_that_cannot_be_shown_whole() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested) == "a list of 1"
    assert shown(10**5000) == "a number of more than 64 bits"
    assert len(shown("x" * 10**6)) == 43
    while nested:  # the interpreter would free it recursively
        nested = nested.pop()  # type: ignore[assignment]
