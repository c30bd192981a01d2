"""From the text columns of a file to rows of days: exact numbers, and each row that is wrong, by its number. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridbot.core.instrument import Instrument
from gridbot.core.strict_numbers import decimal_of
from gridbot.doors.plain_text import one_line, shown
from gridbot.market.candle_ticks import TICKS, Grid, candle_ticks, grid_of
from gridbot.market.column_layout import Layout
from gridbot.market.day import DAY_MS, day_start_ms
from gridbot.market.day_rows import ROW, SYMBOL, Records
from gridbot.market.file_endings import unit_of
from gridbot.market.market_error import MarketError
from gridbot.market.text_columns import Rows, Sides, Steps, Times, id_numbers, mixed, texts_of

__all__ = ["MARK_GRAIN", "FileRows", "Funding", "Mistakes", "Read", "RowsRefused", "place_of"]

MARK_GRAIN: Final = Decimal("1e-10")
"""The unit of marks on their way: finer than any of an exchange, and 60,000 USDT of it have 15 digits."""
NAMED: Final = 20
INVERSE: Final = re.compile(r"USD([FGHJKMNQUVXZ][0-9]{2})?$")
"""Contracts in coins: perpetual ones, and those of a month."""
HIGHEST_RATE: Final = Decimal("0.5")
PRICES: Final = ("open", "high", "low", "close")
Mask: TypeAlias = NDArray[np.bool_]
Whole: TypeAlias = NDArray[np.int64]
Rules: TypeAlias = Callable[[str], Instrument]


class RowsRefused(MarketError):
    """A file has a row that is wrong; the text names file and row, what was expected and what came."""


def place_of(path: Path, row: int) -> str:
    """A row of a file, in words. Rows of a text are lines, as an editor counts."""
    return f"{path} {unit_of(path)} {row}"


@dataclass(slots=True)
class Mistakes:
    """Rows of one file that are wrong. The first one refuses the file, unless `skip`; then they are counted."""

    path: Path
    skip: bool
    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, row: int, why: str) -> None:
        """Raise RowsRefused, or count a row."""
        text = f"{place_of(self.path, row)}: {one_line(why)}"
        if not self.skip:
            raise RowsRefused(text)
        self.count += 1
        if len(self.named) < NAMED:
            self.named.append(text)


@dataclass(frozen=True, slots=True)
class Funding:
    """One funding: ms UTC and the rate, a fraction; `row` of its file."""

    symbol: str
    at_ms: int
    rate: Decimal
    row: int


@dataclass(frozen=True, slots=True)
class Read:
    """What some rows of a file say: ticks or marks of one symbol.

    `span_ms` is how long each candle is, `is_sure` whether several candles say so.
    """

    symbol: str
    kind: str
    rows: Records
    span_ms: int = 0
    is_sure: bool = False


class _Reader(Protocol):
    def __call__(self, texts: pa.StringArray) -> Whole: ...
    def why(self, text: str) -> str: ...


class FileRows:
    """Reads the rows of one file."""

    def __init__(
        self, path: Path, number: int, rules: Rules, mistakes: Mistakes, symbol: str | None, day: date | None
    ) -> None:
        """`symbol` and `day`: what all rows have to be of, where that is known; `number` is the file's own."""
        self._number, self._rules, self._mistakes = number, rules, mistakes
        self._symbol, self._day, self._path = symbol, day, path
        self._times, self._sides, self._grains = Times(), Sides(), Steps(MARK_GRAIN, "unit of marks", is_rule=False)
        self._steps: dict[tuple[str, bool], tuple[Steps, Steps]] = {}
        self._grids: dict[tuple[str, str], Grid] = {}

    def read(self, rows: Rows, layout: Layout) -> Iterator[Read | Funding]:
        """What the rows say. Raise RowsRefused, and MarketError where a symbol has no rules."""
        for number, why in rows.broken:
            self._mistakes.add(number, why)
        for symbol, mine in self._by_symbol(rows, layout):
            at, good = self._column(mine, self._time_texts(mine, layout), "time", self._times)
            good &= self._in_day(mine, at, good)
            yield from getattr(self, f"_{layout.kind}")(symbol, mine, layout, at, good)

    def _by_symbol(self, rows: Rows, layout: Layout) -> Iterator[tuple[str, Rows]]:
        if not len(rows):
            return
        if "symbol" not in layout:
            if self._symbol is None:
                raise MarketError(
                    f"{self._path}: expected a column with the symbol, or a file name that begins with it; use --symbol"
                )
            yield self._symbol, rows
            return
        encoded = rows.columns[layout.columns["symbol"]].dictionary_encode()
        codes = encoded.indices.to_numpy()
        for code, symbol in enumerate(encoded.dictionary.to_pylist()):
            mask = codes == code
            mine = rows if mask.all() else rows.take(mask)
            if (why := self._wrong_symbol(symbol)) is not None:
                for number in mine.numbers:
                    self._mistakes.add(int(number), why)
            else:
                yield symbol, mine

    def _wrong_symbol(self, symbol: str) -> str | None:
        if self._symbol is not None and symbol != self._symbol:
            return (
                f"expected rows of {self._symbol}, got {shown(symbol)}; is it the right file? --symbol says otherwise"
            )
        if not SYMBOL.fullmatch(symbol):
            return f"expected a symbol such as BTCUSDT, got {shown(symbol)}"
        if INVERSE.search(symbol):
            return f"expected sizes in base coin, got {symbol}, an inverse contract; take its USDT contract"
        return None

    @staticmethod
    def _time_texts(rows: Rows, layout: Layout) -> pa.StringArray:
        texts = rows.columns[layout.columns["time"]]
        if layout.columns["time"] == "exchange_ts" and "local_ts" in rows.columns:  # our records: it may be empty
            texts = pc.if_else(pc.equal(texts, ""), rows.columns["local_ts"], texts)
        return (
            texts
            if layout.clock is None
            else texts_of(pc.binary_join_element_wise(texts, rows.columns[layout.clock], " "))
        )

    def _in_day(self, rows: Rows, at: Whole, good: Mask) -> Mask:
        if self._day is None:
            return good
        start = day_start_ms(self._day)
        inside = (at >= start) & (at < start + DAY_MS)
        for place in np.flatnonzero(good & ~inside):
            why = f"expected a time of {self._day}, as the file is named, got {_when(at[place])}; "
            self._wrong(rows, place, why + "--skip-bad leaves such rows out, under a name without the day they come in")
        return inside

    def _wrong(self, rows: Rows, place: np.intp, why: str) -> None:
        self._mistakes.add(int(rows.numbers[place]), why)

    def _column(self, rows: Rows, texts: pa.StringArray, part: str, reader: _Reader) -> tuple[Whole, Mask]:
        values = reader(texts)
        good = values >= 0
        for place in np.flatnonzero(~good):
            why = "" if self._mistakes.count > NAMED else reader.why(texts[int(place)].as_py())
            self._wrong(rows, place, f"{part}: {why}")
        return values, good

    def _part(self, rows: Rows, layout: Layout, part: str, reader: _Reader) -> tuple[Whole, Mask]:
        return self._column(rows, rows.columns[layout.columns[part]], part, reader)

    def _readers(self, symbol: str, *, floors: bool) -> tuple[Steps, Steps]:
        """For prices and for sizes; `floors`: volumes of candles, which need not be whole steps."""
        if (symbol, floors) not in self._steps:
            rules = self._rules(symbol)
            self._steps[symbol, floors] = (
                Steps(rules.tick_size, "tick size"),
                Steps(rules.qty_step, "quantity step", positive=not floors, floors=floors),
            )
        return self._steps[symbol, floors]

    def _trades(self, symbol: str, rows: Rows, layout: Layout, at: Whole, good: Mask) -> Iterator[Read]:
        prices, sizes = self._readers(symbol, floors=False)
        price, good_price = self._part(rows, layout, "price", prices)
        size, good_size = self._part(rows, layout, "size", sizes)
        side, good_side = self._part(rows, layout, "side", self._sides)
        ids = id_numbers(rows.columns[layout.columns["id"]]) if "id" in layout else np.zeros(len(rows), np.uint64)
        keep = good & good_price & good_size & good_side
        yield Read(symbol, "trades", self._records(rows.numbers, at, price, size, 2 * side - 1, ids)[keep])

    def _tickers(self, symbol: str, rows: Rows, layout: Layout, at: Whole, good: Mask) -> Iterator[Read]:
        prices, _ = self._readers(symbol, floors=False)
        price, good_price = self._part(rows, layout, "last", prices)
        nothing = np.zeros(len(rows), np.int64)
        records = self._records(rows.numbers, at, price, nothing, nothing, _ids(at, price))
        yield Read(symbol, "tickers", records[good & good_price])
        if "mark" in layout:
            there = pc.not_equal(rows.columns[layout.columns["mark"]], "").to_numpy(zero_copy_only=False)
            some = rows.take(there)
            mark, good_mark = self._part(some, layout, "mark", self._grains)
            records = self._records(
                some.numbers, at[there], mark, nothing[there], nothing[there], _ids(at[there], mark)
            )
            yield Read(symbol, "marks", records[good[there] & good_mark])

    def _candles(self, symbol: str, rows: Rows, layout: Layout, at: Whole, good: Mask) -> Iterator[Read]:
        prices, sizes = self._readers(symbol, floors=True)
        if "volume" in layout:
            volume, good_volume = self._part(rows, layout, "volume", sizes)
            good = good & good_volume
        else:
            volume = np.zeros(len(rows), np.int64)
        yield self._bars(symbol, "candles", rows, layout, at, volume, good, prices)

    def _marks(self, symbol: str, rows: Rows, layout: Layout, at: Whole, good: Mask) -> Iterator[Read]:
        nothing = np.zeros(len(rows), np.int64)
        if len({layout.columns[part] for part in PRICES}) == len(PRICES):
            yield self._bars(symbol, "marks", rows, layout, at, nothing, good, self._grains)
            return
        mark, good_mark = self._part(rows, layout, "open", self._grains)  # single prices
        yield Read(
            symbol, "marks", self._records(rows.numbers, at, mark, nothing, nothing, _ids(at, mark))[good & good_mark]
        )

    def _bars(
        self, symbol: str, kind: str, rows: Rows, layout: Layout, at: Whole, volume: Whole, good: Mask, reader: _Reader
    ) -> Read:
        corners = []
        for part in PRICES:
            price, good_price = self._part(rows, layout, part, reader)
            good = good & good_price
            corners.append(price)
        first, high, low, last = corners
        fits = (low <= np.minimum(first, last)) & (np.maximum(first, last) <= high)
        for place in np.flatnonzero(good & ~fits):
            said = ", ".join(f"{part} {rows.columns[layout.columns[part]][int(place)].as_py()}" for part in PRICES)
            self._wrong(rows, place, f"expected low <= open, close <= high, got {said}")
        good = good & fits
        grid = self._grids.get((symbol, kind)) or grid_of(at[good])
        if grid.is_sure:
            self._grids[symbol, kind] = grid
        keep = self._on_grid(kind, rows, at, good, grid)
        corners = [corner[keep] for corner in corners]
        times, prices, sizes = candle_ticks(at[keep], corners, volume[keep], grid.span_ms)
        numbers = np.repeat(rows.numbers[keep], TICKS)
        nothing = np.zeros(len(times), np.int64)
        records = self._records(numbers, times, prices, sizes, nothing, times.astype(np.uint64))
        return Read(symbol, kind, records, grid.span_ms, grid.is_sure)

    def _on_grid(self, kind: str, rows: Rows, at: Whole, good: Mask, grid: Grid) -> Mask:
        """Which candles begin where one may, and end on the day on which they begin: a day has whole ones."""
        is_known = grid.is_sure and DAY_MS % grid.span_ms == 0  # those of 7 minutes may begin anew each day
        beside = ((at - grid.offset_ms) % grid.span_ms != 0) & is_known
        split = (at % DAY_MS + grid.span_ms > DAY_MS) & (kind == "candles")
        for place in np.flatnonzero(good & (beside | split)):
            came = _when(at[place])
            span = f"{grid.span_ms / 1000:g} s"
            if beside[place]:
                why = f"expected a candle that begins some times {span} after or before the others, got {came}"
            else:
                why = f"expected a candle that ends on the day (UTC) on which it begins, got {span} from {came}"
            self._wrong(rows, place, why)
        kept: Mask = good & ~beside & ~split
        return kept

    def _fundings(self, symbol: str, rows: Rows, layout: Layout, at: Whole, good: Mask) -> Iterator[Funding]:
        for place in np.flatnonzero(good):
            text, row = rows.columns[layout.columns["rate"]][int(place)].as_py(), int(rows.numbers[place])
            try:
                rate = decimal_of(text)
                if abs(rate) > HIGHEST_RATE:
                    raise ValueError(f"expected a fraction of at most {HIGHEST_RATE}, got {text}")
            except ValueError as error:
                self._mistakes.add(row, f"rate: {error}")
            else:
                yield Funding(symbol, int(at[place]), rate, row)

    def _records(self, numbers: Whole, at: Whole, price: Whole, size: Whole, side: Whole, ids: Any) -> Records:
        records = np.empty(len(at), ROW)
        for name, values in (
            ("at", at),
            ("price", price),
            ("size", size),
            ("side", side),
            ("id", ids),
            ("row", numbers),
        ):
            records[name] = values
        records["file"] = self._number
        return records


def _when(ms: np.int64) -> str:
    return f"{datetime.fromtimestamp(int(ms) / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _ids(*columns: Whole) -> NDArray[np.uint64]:
    """Rows that say the same have the same."""
    return mixed(np.stack(columns, axis=1).view(np.uint64))
