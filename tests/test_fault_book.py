"""Which faults are news."""

from __future__ import annotations

from gridbot.fault_book import CAUSES_MAX, QUIET_S, FaultBook, in_words


def error_of(kind: type[Exception], text: str = "") -> Exception:
    try:
        raise kind(text)
    except kind as error:
        return error


def test_the_same_cause_is_counted_and_another_is_news() -> None:
    book = FaultBook()
    assert [book.count("a", error_of(ValueError, str(n)), float(n)) for n in range(3)] == [1, 2, 3]
    assert book.count("b", error_of(ValueError), 3.0) == 1
    assert book.count("a", error_of(KeyError), 3.0) == 1
    assert book.count("a", ValueError("never raised"), 3.0) == 1, "another place"


def test_a_quiet_time_ends_an_incident() -> None:
    book = FaultBook()
    for now_s, times in ((0.0, 1), (QUIET_S, 2), (2 * QUIET_S, 3), (3 * QUIET_S + 1, 1)):
        assert book.count("a", error_of(ValueError), now_s) == times


def test_memory_is_bounded_and_the_quietest_is_forgotten() -> None:
    book = FaultBook()
    for number in range(CAUSES_MAX):
        book.count(str(number), ValueError(), 0.0)
    book.count("0", ValueError(), 1.0)
    book.count("one more", ValueError(), 1.0)
    assert len(book) == CAUSES_MAX
    assert book.count("0", ValueError(), 2.0) == 3
    assert book.count("1", ValueError(), 2.0) == 1


def test_in_words_is_one_line() -> None:
    assert in_words(ValueError("two\nlines")) == "ValueError: two lines"
    assert in_words(ValueError()) == "ValueError"
