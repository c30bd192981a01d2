"""A market and the files that are imported into it."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

from gridbot.core.instrument import Instrument
from gridbot.market.day_document import DayDocument
from gridbot.market.importer import ImportOptions, ImportResult, import_files
from gridbot.market.market_root import Market
from gridbot.market.rule_book import RuleBook
from tests.market.market_examples import DAY, INSTRUMENT, START_MS

HEAD = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"
START = START_MS // 1000
RULES = {"BTCUSDT": INSTRUMENT}


def trade(second: float, price: str = "60000.10", size: str = "0.005", side: str = "Buy", **changes: str) -> str:
    symbol, name = changes.get("symbol", "BTCUSDT"), changes.get("name", f"id-{second}-{price}-{size}")
    return f"{START + second:.4f},{symbol},{side},{size},{price},PlusTick,{name},1e5,{size},300.5\n"


class Place:
    """A market, and files beside it."""

    def __init__(self, home: Path) -> None:
        self.home, self.market = home / "files", Market(home / "market")
        self.home.mkdir(parents=True)

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.home / name
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    def take(
        self, *paths: Path, rules: dict[str, Instrument] | None = RULES, derive: bool = False, **options: Any
    ) -> ImportResult:
        book = RuleBook(rules, "rules.json", derive=derive)
        return import_files(self.market, paths or [self.home], book, ImportOptions(**options))

    def ticks(self, day: date = DAY, symbol: str = "BTCUSDT") -> list[tuple[int, int, int, int]]:
        """(ms of the day, price, size, side) of each tick."""
        found = self.market.day(symbol, day)
        columns = (found.times_ms - found.start_ms, found.prices, found.sizes, found.sides)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def document(self, day: date = DAY, symbol: str = "BTCUSDT") -> DayDocument:
        return next(found for found in self.market.documents(symbol) if found.date == day)
