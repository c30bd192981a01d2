"""Files that backtests and comparisons read: market data of any kind, days that are kept, logs of other programs."""

from __future__ import annotations

import functools
import gzip
import io
import random
import shutil
import tempfile
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from gridbot.compare.log_file import LogMistake
from gridbot.compare.log_map import load_map
from gridbot.compare.log_reader import Reading, read_log
from gridbot.config.errors import ConfigError
from gridbot.market.importer import ImportOptions, import_files
from gridbot.market.market_error import MarketError
from gridbot.market.market_root import Market
from gridbot.market.rule_book import RuleBook
from tests.fuzz.file_doors import BARS, CELLS, METATRADER, NOW_MS, SYMBOL
from tests.fuzz.mutations import bytes_of, changed, dumped, hurt

__all__ = ["day_file", "day_read", "imported", "log_map", "log_of_others", "map_read", "market_file", "others_read"]

_directory = tempfile.TemporaryDirectory(prefix="gridbot-fuzz-market-")
_root = Path(_directory.name)
MAPS: Final = Path(__file__).resolve().parents[2] / "conf" / "maps"
LONGEST: Final = 3_000

# ---------------------------------------------------------------------- market data

DUMP = (
    b"timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"
    + b"".join(
        b"%d.%d,BTCUSDT,%s,0.01,60000.%d,PlusTick,%d,1,1,1\n"
        % (NOW_MS // 1000 + second, second, b"Buy" if second % 2 else b"Sell", second, second)
        for second in range(4)
    )
)
MARKS = b"time,mark_price\n" + b"".join(b"%d,60000.0%d\n" % (NOW_MS + second * 1000, second) for second in range(4))
FUNDINGS = b"fundingRateTimestamp,symbol,fundingRate\n%d,BTCUSDT,0.0001\n" % NOW_MS
KLINE_ANSWER = {
    "retCode": 0,
    "result": {
        "category": "linear", "symbol": SYMBOL,
        "list": [[str(NOW_MS + 60_000 * at), "60000", "60100", "59900", "60050", "1", "60000"] for at in (1, 0)],
    },
}  # fmt: skip
TRADE_FRAME = {
    "topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": NOW_MS,
    "data": [{"T": NOW_MS, "s": SYMBOL, "S": "Buy", "v": "0.01", "p": "60000.1", "L": "PlusTick", "i": "a"}],
}  # fmt: skip


def _parquet() -> bytes:
    table = pa.table({"timestamp": [NOW_MS, NOW_MS + 1], "symbol": [SYMBOL] * 2, "side": ["Buy", "Sell"],
                      "size": [0.01, 0.02], "price": [60000.1, 60000.2]})  # fmt: skip
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


TABLES: Final = {"trades": DUMP, "bars": BARS, "metatrader": METATRADER, "mark": MARKS, "funding": FUNDINGS}
ANSWERS: Final = (KLINE_ANSWER, TRADE_FRAME)


def market_file(rng: random.Random) -> tuple[str, bytes, bool]:
    """Name and content of a file, and whether wrong rows are left out."""
    kind = rng.choice((*TABLES, *TABLES, "answer", "answer", "parquet"))
    if kind == "answer":
        text, name = bytes_of(rng, changed(rng, rng.choice(ANSWERS))), f"BTCUSDT.{rng.choice(('json', 'jsonl'))}"
    elif kind == "parquet":
        text, name = hurt(rng, _kept_parquet()) if rng.random() < 0.7 else _kept_parquet(), "BTCUSDT.parquet"
    else:
        lines = [line.split(b",") for line in TABLES[kind].splitlines()]
        for _ in range(rng.choice((0, 1, 1, 2))):
            line = rng.choice(lines)
            line[rng.randrange(len(line))] = rng.choice(CELLS).encode()
        text = b"\n".join(b",".join(line) for line in lines)
        text, name = hurt(rng, text) if rng.random() < 0.3 else text, f"BTCUSDT-{kind}.csv"
    if rng.random() < 0.2:
        packed = gzip.compress(text)
        text, name = hurt(rng, packed) if rng.random() < 0.3 else packed, f"{name}.gz"
    return name, text, rng.random() < 0.3


@functools.cache
def _kept_parquet() -> bytes:
    return _parquet()


def imported(made: tuple[str, bytes, bool]) -> str:
    name, content, skip = made
    shutil.rmtree(_root / "files", ignore_errors=True)
    place = _root / "files"
    place.mkdir()
    (place / name).write_bytes(content)
    market = Market(place / "market")
    try:
        done = import_files(market, [place / name], RuleBook(None, ""), ImportOptions(skip_bad=skip))
    except MarketError as error:
        return "refused" if len(str(error)) < LONGEST else "endless mistake"
    for text in (*done.refused, *(line for file in done.files for line in file.named)):
        assert len(text) < LONGEST
        assert name in text or SYMBOL in text
    for symbol in market.symbols():
        for at in market.days(symbol):
            _require_sound(market, symbol, at)
    return "refused" if done.refused else "days" if done.days else "nothing"


def _require_sound(market: Market, symbol: str, at: date) -> None:
    day = market.day(symbol, at)
    assert len(day.times_ms) == len(day.prices) == len(day.sizes) == len(day.sides) > 0
    assert (day.times_ms[1:] >= day.times_ms[:-1]).all()
    assert (day.prices > 0).all()
    assert (day.sizes >= 0).all()
    assert (day.marks > 0).all()


# ---------------------------------------------------------------------- what a day is kept as


@functools.cache
def _document() -> tuple[Path, Any]:
    home = _root / "day"
    home.mkdir()
    (home / "BTCUSDT.csv").write_bytes(DUMP)
    market = Market(home / "market")
    import_files(market, [home / "BTCUSDT.csv"], RuleBook(None, ""))
    [at] = market.days(SYMBOL)
    path = market.directory(SYMBOL, at) / "day.json"
    return path, orjson.loads(path.read_bytes())


def day_file(rng: random.Random) -> bytes:
    return bytes_of(rng, changed(rng, _document()[1]))


def day_read(content: bytes) -> str:
    path, _ = _document()
    path.write_bytes(content)
    market = Market(path.parents[2])
    try:
        for at in market.days(SYMBOL):
            market.day(SYMBOL, at)
    except MarketError as error:
        return "refused" if len(str(error)) < LONGEST else "endless mistake"
    return "read"


# ---------------------------------------------------------------------- logs of other programs

COLUMNS_LOG = (
    b"time,event,market,side,position,price,usd,id\n1793613600.214,ORDER,BTC-PERP,B,L,59940.0,119.88,a1\n"
    b"1793614051,FILL,BTC-PERP,B,L,59940.0,119.88,a1\n1793614052,CANCEL,BTC-PERP,B,L,59940.0,119.88,a1\n"
)
JSON_LOG = b"\n".join(
    dumped({"timestamp": "2026-11-02 10:00:00,214", "level": "INFO", "logger": "gridbot.executor", "message": message})
    for message in (
        "Placed Buy order: BTCUSDT qty=0.002 price=59940.0 order_id=aa",
        "btc: Order filled: BTCUSDT Buy qty=0.002 price=59940.0",
        "Same-order error active",
    )
)
LOGS: Final = (
    ("columns", COLUMNS_LOG, b","),
    ("original-json", JSON_LOG, b" "),
    ("original-console", (MAPS / "original-console.log").read_bytes(), b" "),
)


@functools.cache
def _map(name: str) -> Any:
    return load_map(MAPS / f"{name}.yaml")


def log_of_others(rng: random.Random) -> tuple[str, bytes]:
    name, text, between = rng.choice(LOGS)
    lines = [line.split(between) for line in text.splitlines()]
    for _ in range(rng.choice((0, 1, 1, 2))):
        line = rng.choice(lines)
        line[rng.randrange(len(line))] = rng.choice(CELLS).encode()
    text = b"\n".join(between.join(line) for line in lines)
    text = hurt(rng, text) if rng.random() < 0.3 else text
    return name, gzip.compress(text) if rng.random() < 0.1 else text


def others_read(made: tuple[str, bytes]) -> str:
    name, content = made
    path = _root / "others.log"
    path.write_bytes(content)
    reading = Reading()
    try:
        rows = list(read_log(path, _map(name), reading))
    except LogMistake as error:
        return "refused" if len(str(error)) < LONGEST else "endless mistake"
    assert len(rows) == reading.rows
    assert all(0 <= row.at_ms < 2**63 for row in rows)
    assert all(row.price is None or 0 < row.price < 10**9 for row in rows)
    return "rows" if rows else "none"


def log_map(rng: random.Random) -> bytes:
    document = yaml.safe_load((MAPS / f"{rng.choice(LOGS)[0]}.yaml").read_bytes())
    text = yaml.safe_dump(changed(rng, document), allow_unicode=True).encode("utf-8", "surrogatepass")
    return hurt(rng, text) if rng.random() < 0.3 else text


def map_read(content: bytes) -> str:
    path = _root / "map.yaml"
    path.write_bytes(content)
    try:
        load_map(path)
    except ConfigError as error:
        return "refused" if len(str(error)) < 100 * LONGEST else "endless mistake"
    return "read"
