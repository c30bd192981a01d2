"""An instrument's rules for data: from a file, as shipped, or worked out from the data itself."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gridbot.bybit.parse_market import parse_instrument, parse_tiers
from gridbot.core.instrument import Instrument
from gridbot.core.strict_numbers import amount_or_none
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import printable, shown
from gridbot.market.day_document import instrument_of
from gridbot.market.market_error import MarketError
from gridbot.paper.market.instruments import LISTINGS

__all__ = ["DERIVED", "Finest", "RuleBook", "documents", "read_instruments"]

LARGEST_FILE: Final = 1 << 28
DERIVED: Final = "tick size and quantity step are worked out from the data"
GRAIN: Final = 30
"""Decimals in which common divisors are looked for: as many as a strict number has."""
STEPS: Final = (5, 2, 1)
Row = Mapping[str, Any]


def documents(path: Path, text: str) -> Iterator[Any]:
    """JSON values that follow one another in a text. Raise MarketError, naming the line."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        begin = at
        try:
            _, at = decoder.raw_decode(text, begin)
            yield read_json(text[begin:at])
        except (json.JSONDecodeError, JsonMistake, RecursionError) as error:
            line = text.count("\n", 0, begin) + 1
            raise MarketError(
                f"{path} line {line}: expected JSON, got {shown(text[begin : begin + 40])} ({error})"
            ) from None


def read_instruments(path: Path) -> dict[str, Instrument]:
    """Instruments of a file with answers of market/instruments-info, and of market/risk-limit where tiers are wanted.

    The answers follow one another, as the exchange sent them. Only linear contracts count. Raise MarketError.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise MarketError(f"{path}: expected at most {LARGEST_FILE} bytes of instruments")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MarketError(f"{path}: cannot be read: {error}") from error
    rules: dict[str, Row] = {}
    tiers: dict[str, list[Row]] = {}
    try:
        for answer in documents(path, text):
            for row in answer["result"]["list"]:
                if "lotSizeFilter" in row:
                    rules[str(row["symbol"])] = row
                elif "riskLimitValue" in row:
                    tiers.setdefault(str(row["symbol"]), []).append(row)
        linear = {
            name: row for name, row in rules.items() if str(row.get("contractType", "Linear")).startswith("Linear")
        }
        return {name: parse_instrument(row, parse_tiers(tiers.get(name, []))) for name, row in linear.items()}
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise MarketError(
            f"{path}: expected answers of market/instruments-info and market/risk-limit, got: {shown(str(error), 300)}"
        ) from error


class Finest:
    """The largest step of 1, 2 or 5 times a power of ten that divides every number seen."""

    def __init__(self) -> None:
        self._divisor = 0
        self._largest = Decimal(0)

    def see(self, texts: Iterable[str]) -> None:
        """Numbers as text; what is none, or nothing, is passed over."""
        for text in texts:
            number = amount_or_none(text)
            if number:
                self._divisor = math.gcd(self._divisor, int(number.scaleb(GRAIN)))
                self._largest = max(self._largest, number)

    @property
    def step(self) -> Decimal | None:
        """None when nothing was seen. At most a thousandth of the largest number: a few rows show little."""
        if not self._divisor:
            return None
        power = len(str(self._divisor)) - 1
        most = int(self._largest.scaleb(GRAIN)) // 1000
        for exponent in range(power, -1, -1):
            for factor in STEPS:
                step = factor * 10**exponent
                if self._divisor % step == 0 and step <= max(most, 1):
                    return Decimal(factor).scaleb(exponent - GRAIN)
        return Decimal(1).scaleb(-GRAIN)


class RuleBook:
    """Which rules hold for a symbol, and from where they are."""

    def __init__(self, given: Mapping[str, Instrument] | None, source: str, *, derive: bool = False) -> None:
        """`given`: of a file, the only ones that count when they are there. `derive`: work all out from the data."""
        self._given, self._source, self._derive = given, source, derive
        self._derived: dict[str, Instrument] = {}
        self._carried: dict[str, tuple[Instrument, str]] = {}
        self._asked: set[str] = set()
        """Symbols by whose rules rows of the day were read."""
        self._of_any_day: frozenset[str] | None = None
        """Symbols by whose rules rows were read before the first day began: they may be of each one."""

    def begin_day(self) -> None:
        """Forget what files of the day before have carried."""
        if self._of_any_day is None:
            self._of_any_day = frozenset(self._asked)
        self._carried.clear()
        self._asked = set(self._of_any_day)

    def carry(self, path: Path, text: str) -> None:
        """Rules that a file of one day brings along, as `day.json` has them; others that are given count before them.

        Raise MarketError when they are none, or when rows of that day were read by others already.
        """
        if self._derive or self._given is not None:
            return
        try:
            instrument = instrument_of(read_json(text))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise MarketError(
                f"{path}: expected the rules of an instrument in its metadata, got {shown(text)} "
                f"({shown(str(error), 100)}); export it again, or name others with --instruments"
            ) from error
        symbol = instrument.symbol
        found = self.find(symbol) if symbol in self._asked else None
        if found is not None and found[0] != instrument:
            raise MarketError(
                f"{path}: expected the rules by which another file of the day was read, got others; "
                "import one of the files, or name rules with --instruments"
            )
        self._carried.setdefault(symbol, (instrument, f"rules of {printable(path.name)}"))

    def find(self, symbol: str) -> tuple[Instrument, str] | None:
        """Rules and their source; None when they have to be derived. Raise MarketError when the file has none."""
        self._asked.add(symbol)
        if symbol in self._carried:
            return self._carried[symbol]
        if symbol in self._derived:
            return self._derived[symbol], DERIVED
        if self._derive:
            return None
        if self._given is not None:
            if symbol not in self._given:
                raise MarketError(
                    f"{self._source}: expected rules of {symbol}, got none; add its market/instruments-info"
                )
            return self._given[symbol], f"rules of {self._source}"
        if symbol in LISTINGS:
            return LISTINGS[symbol].instrument, "rules as shipped with the paper exchange"
        return None

    def derived(self, symbol: str, prices: Finest, sizes: Finest) -> None:
        """Keep what was worked out of a symbol's data. Raise MarketError when that had no prices."""
        tick, step = prices.step, sizes.step or Decimal("0.001")
        if tick is None:
            raise MarketError(f"expected prices of {symbol} to work out its tick size, got none; use --instruments")
        self._derived[symbol] = Instrument(
            symbol=symbol, tick_size=tick, qty_step=step, min_order_qty=step, max_order_qty=Decimal(10) ** 9
        )
