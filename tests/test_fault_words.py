"""What a fault is called."""

from __future__ import annotations

from gridbot.fault_words import cause_of, in_words, sentence


def error_of(kind: type[Exception], text: str = "") -> Exception:
    try:
        raise kind(text)
    except kind as error:
        return error


def test_part_type_and_line_make_a_cause_and_the_text_does_not() -> None:
    cause = cause_of("a", error_of(ValueError, "1"))
    assert cause_of("a", error_of(ValueError, "2")) == cause
    others = {cause_of("b", error_of(ValueError)), cause_of("a", error_of(KeyError)), cause_of("a", ValueError("1"))}
    assert len(others) == 3
    assert cause not in others


def test_words_are_one_line() -> None:
    assert in_words(ValueError("two\nlines")) == "ValueError: two lines"
    assert in_words(ValueError()) == "ValueError"
    assert sentence("a part", ValueError("x")) == "a part failed: ValueError: x; the log file has the traceback"
