"""Columns of text as whole numbers: prices in ticks, sizes in steps, times in ms, sides, ids. Pure, exact.

No number passes through a float on its way: prices and sizes are read as decimals, each distinct text once, and times
as decimals of Arrow. A text that is not what it should be gives a negative value, and a sentence when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridbot.core.exact import WIDE
from gridbot.core.strict_numbers import LATEST_MS, amount_of, decimal_of, whole_or_none
from gridbot.doors.plain_text import shown

__all__ = [
    "EARLIEST_MS",
    "NO_ID",
    "Distinct",
    "Rows",
    "Sides",
    "Steps",
    "Times",
    "id_numbers",
    "mixed",
    "texts_of",
    "time_ms",
]

Whole: TypeAlias = NDArray[np.int64]
BAD: Final = -1
NO_ID: Final = 0
REMEMBERED: Final = 1 << 20
MOST_STEPS: Final = 1 << 62
METATRADER_ZONE: Final = timezone(timedelta(hours=3))
"""Bybit's files for MetaTrader have no daylight saving."""
METATRADER: Final = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2}) ([0-9]{2}):([0-9]{2})")
DIGITS: Final = r"^([0-9]{1,18}|[1-8][0-9]{18})$"
SECONDS: Final = r"^([0-9]{1,9}|[1-8][0-9]{9})(\.[0-9]{0,9})?$"
"""As ns they have 63 bits."""
NANO: Final = 10**9
EARLIEST_MS: Final = 1_230_768_000_000
"""The first of January 2009: no coin is older. What is earlier is no time, such as 20260901, or is in another unit."""
UNITS_A_MS: Final = ((10**17, 10**6), (10**14, 10**3), (10**11, 1))
"""(least number, how many of its unit are a ms): of ns, us and ms; below are seconds."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a file: columns by name, the number of each row, and rows that are none, with the reason.

    `hints` is what the file says of itself beside its columns, such as the symbol of a REST answer.
    """

    columns: Mapping[str, pa.StringArray]
    numbers: NDArray[np.int64]
    broken: Sequence[tuple[int, str]] = ()
    hints: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, mask: NDArray[np.bool_]) -> Rows:
        """Those rows that the mask has."""
        chosen = pa.array(mask)
        columns = {name: texts.filter(chosen) for name, texts in self.columns.items()}
        return Rows(columns, self.numbers[mask], self.broken, self.hints)


def texts_of(column: Any) -> pa.StringArray:
    """A column of any type as text, each value as short as it can be written; what is missing is empty."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if pa.types.is_timestamp(column.type):
        units = {"s": NANO, "ms": 10**6, "us": 1000, "ns": 1}[column.type.unit]
        # As whole ns where they fit; a time before 1970 stays negative, and is refused as one.
        column = pc.multiply_checked(column.cast(pa.int64()), units)
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    texts: pa.StringArray = pc.fill_null(column, "")
    return texts


class Distinct:
    """Reads each distinct text of a column once."""

    def __init__(self, read: Callable[[str], int]) -> None:
        """`read` gives a number not below zero, or raises ValueError."""
        self._read = read
        self._known: dict[str, int] = {}

    def __call__(self, texts: pa.StringArray) -> Whole:
        """The number of each text, `BAD` for those without one."""
        encoded = texts.dictionary_encode()
        known = self._known
        if len(known) > REMEMBERED:
            known.clear()
        values = np.fromiter(
            (known[text] if text in known else self._learn(text) for text in encoded.dictionary.to_pylist()),
            np.int64,
            len(encoded.dictionary),
        )
        found: Whole = values[encoded.indices.to_numpy(zero_copy_only=False)]
        return found

    def why(self, text: str) -> str:
        """What is wrong with a text that gave `BAD`."""
        try:
            self._read(text)
        except ValueError as error:
            return str(error)
        raise AssertionError(f"{text!r} is not wrong")

    def _learn(self, text: str) -> int:
        try:
            found = self._read(text)
        except ValueError:
            found = BAD
        self._known[text] = found
        return found


class Steps(Distinct):
    """Prices in ticks, or sizes in quantity steps. `name` is for people: tick size or quantity step."""

    def __init__(
        self, step: Decimal, name: str, *, positive: bool = True, floors: bool = False, is_rule: bool = True
    ) -> None:
        """`positive`: zero is wrong, too. `floors`: what is between two steps becomes the lower one.

        `is_rule`: the step is a rule of the instrument, which may have changed.
        """
        self._step, self._name, self._positive, self._floors, self._is_rule = step, name, positive, floors, is_rule
        super().__init__(self._steps)

    def _steps(self, text: str) -> int:
        number = amount_of(text)
        if not number and self._positive:
            raise ValueError(f"expected a number above zero, got {shown(text)}")
        try:
            steps, rest = WIDE.divmod(number, self._step)
        except InvalidOperation:
            raise ValueError(f"expected a number of at most {MOST_STEPS} steps, got {shown(text)}") from None
        if rest and not self._floors:
            own = "; --derive works it out from the data" if self._is_rule else ""
            raise ValueError(f"expected a multiple of the {self._name} {self._step}, got {text}{own}")
        if steps >= MOST_STEPS:
            raise ValueError(f"expected a number of at most {MOST_STEPS} steps, got {shown(text)}")
        return int(steps)


class Sides(Distinct):
    """1 where the taker bought, 0 where it sold."""

    def __init__(self) -> None:
        super().__init__(_side)


def _side(text: str) -> int:
    word = text.lower()
    if word not in ("buy", "sell"):
        raise ValueError(f"expected Buy or Sell, got {shown(text)}")
    return int(word == "buy")


class Times:
    """Times in ms UTC: numbers in s, ms, us or ns, ISO texts, or MetaTrader's. Parts of a ms are cut off."""

    def __init__(self) -> None:
        self._one_by_one = Distinct(time_ms)

    def __call__(self, texts: pa.StringArray) -> Whole:
        """The time of each text, `BAD` for those without one."""
        if pc.all(pc.match_substring_regex(texts, DIGITS)).as_py():
            return _of_numbers(texts.cast(pa.int64()).to_numpy())
        if pc.all(pc.match_substring_regex(texts, SECONDS)).as_py():
            nano = texts.cast(pa.decimal128(19, 9))
            low = np.frombuffer(nano.buffers()[1], np.int64)[2 * nano.offset : 2 * (nano.offset + len(nano)) : 2]
            times: Whole = low // (NANO // 1000)
            return np.where(times >= EARLIEST_MS, times, BAD)
        return self._one_by_one(texts)

    def why(self, text: str) -> str:
        """What is wrong with a text that gave `BAD`."""
        return self._one_by_one.why(text)


def _of_numbers(numbers: Whole) -> Whole:
    times = numbers * 1000  # what this overflows for is larger than 10**17, and not taken from here
    for least, units in reversed(UNITS_A_MS):
        times = np.where(numbers >= least, numbers // units, times)
    return np.where((times >= EARLIEST_MS) & (times <= LATEST_MS), times, BAD)


def time_ms(text: str) -> int:
    """One time in ms UTC. Raise ValueError, saying what was expected."""
    if found := METATRADER.fullmatch(text):
        year, month, day, hour, minute = map(int, found.groups())
        moment = datetime(year, month, day, hour, minute, tzinfo=METATRADER_ZONE)
        return _possible(int(moment.timestamp()) * 1000, text)
    try:
        whole = whole_or_none(text)  # ns are more than any other number of ours
        number = decimal_of(text) if whole is None else Decimal(whole)
    except ValueError:
        return _possible(_iso(text), text)
    for least, units in UNITS_A_MS:
        if number >= least:
            return _possible(int(number // units), text)
    return _possible(int(number * 1000) if number >= 0 else BAD, text)


def _iso(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a time, got {shown(text)}") from None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)


def _possible(ms: int, text: str) -> int:
    if not EARLIEST_MS <= ms <= LATEST_MS:
        raise ValueError(f"expected a time of the years 2009 to 2286 in s, ms, us or ns, or as text, got {shown(text)}")
    return ms


def id_numbers(texts: pa.StringArray) -> NDArray[np.uint64]:
    """A number of 64 bits for each id, `NO_ID` for an empty one. Two ids may have the same, once in 10**19 pairs."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    lengths = np.diff(offsets)
    found = np.zeros(len(texts), np.uint64)
    for length in np.unique(lengths):
        if not length:
            continue
        rows = np.flatnonzero(lengths == length)
        padded = np.zeros((len(rows), -(-int(length) // 8) * 8), np.uint8)
        padded[:, :length] = data[offsets[rows][:, None] + np.arange(length)]
        found[rows] = mixed(padded.view(np.uint64), int(length))
    return found


def mixed(words: NDArray[np.uint64], length: int = 0) -> NDArray[np.uint64]:
    """splitmix64 over the words of each row, in their order; never `NO_ID`."""
    state = np.full(len(words), length, np.uint64)
    for place in range(words.shape[1]):
        state = (state ^ words[:, place]) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return np.where(state == NO_ID, np.uint64(1), state)
