"""From the columns of a log's line to what it says: numbers, words and times of others, read strictly. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gridbot.compare.log_map import LogMap
from gridbot.core.strict_numbers import LATEST_MS, amount_or_none, decimal_or_none, whole_or_none
from gridbot.doors.plain_text import shown

__all__ = ["LogRow", "Rows", "WrongLine"]

LARGEST: Final = Decimal(10**9)
SMALLEST: Final = Decimal(1) / 10**12
PER_SECOND: Final = {"s": Decimal(1), "ms": Decimal(1000), "us": Decimal(10**6), "ns": Decimal(10**9)}
_SAME: Final = {
    "action": {"place": "place", "cancel": "cancel", "fill": "fill", "skip": "skip"},
    "side": {"buy": "Buy", "sell": "Sell"},
    "direction": {"long": "long", "short": "short"},
    "closes": {"true": "yes", "false": "no", "yes": "yes", "no": "no", "1": "yes", "0": "no"},
}
"""What words mean, whatever their case, where the map says nothing."""
_LEGS: Final = {("Buy", "no"): "long", ("Sell", "yes"): "long", ("Sell", "no"): "short", ("Buy", "yes"): "short"}


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class WrongLine(ValueError):
    """What is wrong with a line: expected ..., got ..."""


class LogRow(NamedTuple):
    """One line that says something. None: the line does not say; a cancel has price and the like from its order."""

    line: int
    what: str
    at_ms: int
    symbol: str | None
    direction: str | None
    side: str | None
    price: Decimal | None
    size: Decimal | None
    order: str | None
    fee: Decimal | None
    realised: Decimal | None


class _Given(NamedTuple):
    """What expressions have found, by the names of values, and the columns of the line."""

    groups: Mapping[str, Any]
    columns: Mapping[str, Any]


class Rows:
    """From the columns of a line to its row."""

    def __init__(self, meaning: LogMap) -> None:
        self._meaning = meaning
        self._patterns = [(re.compile(each.looks), each.action) for each in meaning.patterns]
        is_nested = meaning.lines == "json"
        self._paths = {str(each): name.split(".") if is_nested else [name] for each, name in meaning.values.items()}
        self._always = {str(each): text for each, text in meaning.always.items()}
        own = {str(of): said for of, said in meaning.words.items()}
        self._words = {of: {**same, **own.get(of, {})} for of, same in _SAME.items()}
        self._zone = meaning.tz
        self._time = self._how_times_are_read()

    def __call__(self, line: int, columns: Mapping[str, Any]) -> LogRow | None:
        groups: Mapping[str, Any] = columns if self._meaning.lines == "text" else {}
        if self._patterns:
            message = columns.get(self._meaning.message)
            if message is None:
                self._other(f"a column {self._meaning.message!r}", columns)
                return None
            found = next(
                ((found, said) for pattern, said in self._patterns if (found := pattern.search(str(message)))), None
            )
            if found is None:
                self._other("a message that a pattern of the map finds something in", message)
                return None
            action: str | None = found[1]
            groups = {**groups, **{name: text for name, text in found[0].groupdict().items() if text is not None}}
        else:
            action = self._action(_Given(groups, columns))
        return None if action in (None, "skip") else self._row(line, str(action), _Given(groups, columns))

    def time_of(self, columns: Mapping[str, Any]) -> int | None:
        """When a line was written that is none of ours, ms UTC; None when it does not say."""
        try:
            return self._at_ms(_Given(columns if self._meaning.lines == "text" else {}, columns))
        except WrongLine:
            return None

    def _other(self, wanted: str, got: object) -> None:
        """A line that is none of ours."""
        if self._meaning.others == "refuse":
            raise WrongLine(f"expected {wanted}, got {shown(got, 80)}")

    def _action(self, given: _Given) -> str | None:
        text = self._text("action", given)
        known = self._words["action"]
        action = known.get(text or "") or known.get((text or "").lower())
        if action is None:
            self._other(f"an action ({', '.join(known)})", text)
        return action

    def _row(self, line: int, what: str, given: _Given) -> LogRow:
        side, closes = self._word("side", given), self._word("closes", given)
        direction = self._word("direction", given)
        if direction is None and side is not None and closes is not None:
            direction = _LEGS[side, closes]
        symbol = self._text("symbol", given)
        price = self._number("price", given, self._meaning.units.price)
        size = self._number("size", given, self._meaning.units.size)
        if size is not None and price is not None and self._meaning.units.size_in == "usdt":
            size = round(size / price, 12)
        order = self._text("order", given)
        for name, value in (("symbol", symbol), ("side", side), ("price", price), ("size", size)):
            if value is None and what != "cancel":
                raise WrongLine(f"expected a {name} of a {what}{self._where(name)}, got none")
        if what == "cancel" and order is None and None in (symbol, side, price):
            raise WrongLine("expected the order, or symbol, side and price, of a cancel, got neither")
        return LogRow(
            line=line,
            what=what,
            at_ms=self._at_ms(given),
            symbol=self._meaning.symbols.get(symbol, symbol) if symbol is not None else None,
            direction=direction,
            side=side,
            price=price,
            size=size,
            order=order,
            fee=self._money("fee", given),
            realised=self._money("realised", given),
        )

    def _where(self, name: str) -> str:
        """Where the map looks for a value, for whoever wrote it."""
        return f" in the column `{'.'.join(self._paths[name])}`" if name in self._paths else ""

    def _text(self, name: str, given: _Given) -> str | None:
        """What a line says of a value: by a group of that name, by the map's column, by what is always so."""
        value = given.groups.get(name)
        if value is None and name in self._paths:
            value = given.columns
            for part in self._paths[name]:
                value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            value = self._always.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, dict | list):
            raise WrongLine(f"expected a text or number as {name}, got {shown(value)}")
        return repr(value) if isinstance(value, float) else str(value)

    def _word(self, of: str, given: _Given) -> str | None:
        text = self._text(of, given)
        if text is None:
            return None
        known = self._words[of]
        said = known.get(text) or known.get(text.lower())
        if said is None:
            raise WrongLine(f"expected a {of} ({', '.join(known)}), got {shown(text)}; name it in `words` of the map")
        return said

    def _number(self, name: str, given: _Given, unit: Decimal) -> Decimal | None:
        text = self._text(name, given)
        if text is None:
            return None
        number = amount_or_none(text)
        if not number or not SMALLEST <= number * unit <= LARGEST:
            raise WrongLine(f"expected a {name} above zero and below {LARGEST:,}, got {shown(text)}")
        return number * unit

    def _money(self, name: str, given: _Given) -> Decimal | None:
        text = self._text(name, given)
        if text is None:
            return None
        number = decimal_or_none(text)
        if number is None:
            raise WrongLine(f"expected a number of USDT as {name}, got {shown(text)}")
        return number

    def _at_ms(self, given: _Given) -> int:
        text = self._text("time", given)
        if text is None:
            raise WrongLine(f"expected a time{self._where('time')}, got none")
        at_ms = self._time(text)
        if not 0 <= at_ms <= LATEST_MS:
            raise WrongLine(f"expected a time of the years 1970 to 2286, got {shown(text)}; see `time_format`")
        return at_ms

    def _how_times_are_read(self) -> Callable[[str], int]:
        form, zone = self._meaning.time_format, self._zone
        if form in PER_SECOND:
            per_second = PER_SECOND[form]

            def number(text: str) -> int:
                whole = whole_or_none(text)  # nanoseconds are more than any other number of ours
                found = decimal_or_none(text) if whole is None else Decimal(whole)
                if found is None:
                    raise WrongLine(f"expected a time in {form}, got {shown(text)}")
                return int(found * 1000 / per_second)

            return number

        def moment(text: str) -> int:
            try:
                found = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007
                if found.tzinfo is None:  # most logs name no zone: the map does
                    found = found.replace(tzinfo=zone)
                apart = found.astimezone(UTC) - _EPOCH
            except (ValueError, OverflowError) as error:
                raise WrongLine(f"expected a time as {form}, got {shown(text)}") from error
            return (apart.days * 86_400 + apart.seconds) * 1000 + apart.microseconds // 1000

        return moment
