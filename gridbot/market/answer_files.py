"""JSON files as rows: REST answers as the exchange sent them, and recorded frames of public streams. Reads files.

Answers: market/kline, mark-price-kline, funding/history, recent-trade. Frames: `publicTrade`, `tickers` (snapshots and
deltas), one JSON value after the other or one a line, also as another program wrapped them (`data` holds the frame).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import shown
from gridbot.market.file_endings import unit_of
from gridbot.market.market_error import MarketError
from gridbot.market.rule_book import documents
from gridbot.market.table_files import opened, reading, require_text
from gridbot.market.text_columns import Rows

__all__ = ["read_answers"]

LARGEST_FILE: Final = 1 << 28
LONGEST_LINE: Final = 1 << 24
BATCH_ROWS: Final = 50_000
KLINE: Final = ("start", "open", "high", "low", "close", "volume", "turnover")
MARK_KLINE: Final = KLINE[:5]
FRAME_TRADE: Final = {"T": "timestamp", "s": "symbol", "S": "side", "v": "size", "p": "price", "i": "id"}
TICKER: Final = {"symbol": "symbol", "lastPrice": "last_price", "markPrice": "mark_price"}
LINEAR: Final = "/linear"
OTHER_CATEGORIES: Final = ("inverse", "option")
Entry = tuple[int, Mapping[str, str]]


class Known(NamedTuple):
    """What was said before: the last ticker of each symbol, where each connection led, and how many rows there were."""

    tickers: dict[str, dict[str, str]]
    addresses: dict[str, str]
    rows: Iterator[int]


def read_answers(path: Path) -> Iterator[Rows]:
    """The rows of a file of answers or frames. Numbers are of lines, or of all answers in a row. MarketError."""
    batches: dict[tuple[str, tuple[str, ...]], list[Entry]] = {}
    known = Known({}, {}, itertools.count(1))
    with reading(path):
        for number, value in _values(path):
            for kind, entry_number, row in _entries(path, number, value, known):
                key = (kind, tuple(row))
                batches.setdefault(key, []).append((entry_number, row))
                if len(batches[key]) >= BATCH_ROWS:
                    yield _batch(key, batches.pop(key))
        for key, entries in batches.items():
            yield _batch(key, entries)


def _values(path: Path) -> Iterator[tuple[int, Any]]:
    """JSON values with the numbers of their lines."""
    if unit_of(path) == "line":
        with opened(path) as file:
            line = 0
            while text := file.readline(LONGEST_LINE):
                line += 1
                if text.strip():
                    try:
                        yield line, read_json(text)
                    except JsonMistake as error:
                        got = shown(text.decode("utf-8", "replace"))
                        raise MarketError(f"{path} line {line}: {error}, got {got}") from error
        return
    with opened(path) as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise MarketError(
            f"{path}: expected at most {LARGEST_FILE} bytes of JSON; use one value a line, in a .jsonl file"
        )
    require_text(data, 1)
    yield from enumerate(documents(path, data.decode("utf-8-sig")), start=1)


def _entries(path: Path, number: int, value: Any, known: Known) -> Iterator[tuple[str, int, dict[str, str]]]:
    """(kind, number, row) of an answer or a frame; nothing of one that says nothing about the market."""
    unit = "line" if unit_of(path) == "line" else "value"
    if isinstance(value, dict) and isinstance(value.get("addr"), str):
        known.addresses[str(value.get("conn"))] = value["addr"]
    if isinstance(value, dict) and isinstance(value.get("data"), str) and "topic" not in value:
        if LINEAR not in known.addresses.get(str(value.get("conn")), LINEAR):
            return  # a spot market has symbols of the same names
        try:  # as other programs keep them
            value = read_json(value["data"])
        except JsonMistake as error:
            raise MarketError(f"{path} {unit} {number}: expected a frame in its data, got none: {error}") from error
    if not isinstance(value, dict):
        raise MarketError(f"{path} {unit} {number}: expected an answer or a frame of Bybit, got {shown(value)}")
    try:
        if isinstance(value.get("topic"), str):
            yield from _of_frame(number, value, known.tickers)
        elif (code := value.get("retCode", 0)) != 0:
            raise ValueError(f"expected retCode 0, got {shown(str(code))}: an error and no data; ask again")
        elif isinstance(value.get("result"), dict):
            yield from _of_answer(itertools.repeat(number) if unit == "line" else known.rows, value)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise MarketError(
            f"{path} {unit} {number}: expected an answer or a frame of Bybit, got {shown(str(value), 200)} ({error})"
        ) from error


def _of_frame(
    number: int, frame: Mapping[str, Any], tickers: dict[str, dict[str, str]]
) -> Iterator[tuple[str, int, dict[str, str]]]:
    topic = frame["topic"].partition(".")[0]
    if topic == "publicTrade":
        for trade in frame["data"]:
            yield "trades", number, {ours: str(trade[theirs]) for theirs, ours in FRAME_TRADE.items()}
    elif topic == "tickers":
        data = frame["data"]
        ticker = tickers.setdefault(str(data["symbol"]), {})
        changed = {ours: str(data[theirs]) for theirs, ours in TICKER.items() if theirs in data}
        ticker.update(changed)
        if len(ticker) == len(TICKER) and len(changed) > 1:
            yield "tickers", number, {"timestamp": str(frame["ts"]), **{name: ticker[name] for name in TICKER.values()}}


def _of_answer(places: Iterator[int], answer: Mapping[str, Any]) -> Iterator[tuple[str, int, dict[str, str]]]:
    result = answer["result"]
    if (category := result.get("category")) in OTHER_CATEGORIES:
        raise ValueError(f"expected linear contracts, got category {category}")
    rows = result.get("list")
    for row, place in zip(rows, places, strict=False) if isinstance(rows, list) else ():
        if isinstance(row, list):
            names = MARK_KLINE if len(row) == len(MARK_KLINE) else KLINE
            if len(row) != len(names):
                raise ValueError(f"a candle of {len(row)} parts")
            cells = {name: str(cell) for name, cell in zip(names, row, strict=True)}
            yield "marks" if names is MARK_KLINE else "candles", place, {**cells, "symbol": str(result["symbol"])}
        elif "fundingRate" in row and "fundingRateTimestamp" in row:
            yield (
                "fundings",
                place,
                {name: str(row[name]) for name in ("symbol", "fundingRate", "fundingRateTimestamp")},
            )
        elif "execId" in row and "side" in row:
            yield (
                "trades",
                place,
                {name: str(row[name]) for name in ("execId", "symbol", "price", "size", "side", "time")},
            )


def _batch(key: tuple[str, tuple[str, ...]], entries: list[Entry]) -> Rows:
    kind, names = key
    columns = {name: pa.array([row[name] for _, row in entries], pa.string()) for name in names}
    return Rows(columns, np.array([number for number, _ in entries], np.int64), hints={"kind": kind})
