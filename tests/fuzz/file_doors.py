"""What lies on the disk: journals, state documents, the paper exchange's state, files of a market, log lines."""

from __future__ import annotations

import functools
import itertools
import random
import shutil
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from gridbot.core import ExecType, ExecutionEvent, Side
from gridbot.core.execution_ledger import Ledger
from gridbot.core.ledger_document import document_of, ledger_of
from gridbot.frames import frame
from gridbot.paper.api.dispatch import ROUTES, Api
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.feed.catalogue import CatalogueError
from gridbot.paper.feed.catalogue import read as read_catalogue
from gridbot.paper.feed.replay import ReplayError, read_file
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.storage.exchange_file import ExchangeFile, StateFileError
from gridbot.paper.storage.state_records import WholeState
from gridbot.records.journal_reader import JournalReader, read_committed
from gridbot.records.open_orders import OpenOrders
from gridbot.risk.holds import Holds
from gridbot.risk.loss_limit import LossState
from gridbot.segment_file import segment_path
from gridbot.state.documents import _decode as decode
from gridbot.strategies.grid.state import GridState
from supervisor.cli.logs import human
from tests.fuzz.exchange_doors import INSTRUMENT
from tests.fuzz.mutations import bytes_of, changed, dumped, hurt
from tests.fuzz.own_doors import BODIES
from tests.paper.support import ALICE, limit_order, manual_config

__all__ = [
    *("BARS", "CELLS", "METATRADER", "NOW_MS", "SYMBOL"),
    *(
        "catalogue",
        "document",
        "ledger",
        "ledger_document",
        "listings",
        "log_line",
        "logs",
        "paper_opened",
        "paper_state",
        "read_back",
    ),
    *("read_document", "replayed", "segments", "stored", "trade_file"),
]

NOW_MS = 1_800_000_000_000
SYMBOL = "BTCUSDT"
_directory = tempfile.TemporaryDirectory(prefix="gridbot-fuzz-files-")
_root = Path(_directory.name)


# ---------------------------------------------------------------------- journals


def segments(rng: random.Random) -> list[tuple[int, bytes]]:
    """One to three segments of a journal, with their numbers."""
    found, seq = [], 1
    for _ in range(rng.randrange(1, 4)):
        count = rng.randrange(4)
        bodies = [{**rng.choice(BODIES), "seq": seq + n} for n in range(count)]
        lines = b"".join(frame(dumped(changed(rng, body) if rng.random() < 0.3 else body)) for body in bodies)
        found.append((seq, hurt(rng, lines) if rng.random() < 0.4 else lines))
        seq += rng.choice((count, count, count + 1, 2**62)) or 1
    return found


def read_back(made: list[tuple[int, bytes]]) -> str:
    directory = _root / "journal"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for first, content in made:
        segment_path(directory, first).write_bytes(content)
    (directory / "committed").write_bytes(made[0][1][:30])
    assert 0 <= read_committed(directory) < 2**63
    reader, told = JournalReader(directory), 0
    for _ in range(1000):
        chunk = reader.read(256)
        told += len(chunk.damages)
        assert all(str(each).startswith(str(directory)) for each in chunk.damages)
        if not chunk.bodies and not chunk.damages:
            break
    else:
        raise AssertionError("the reader of a journal comes to no end")
    numbers = [header.seq for header, _ in reader.read_from(0)]
    assert all(before < after for before, after in itertools.pairwise(numbers))
    return "damage" if told else "records"


# ---------------------------------------------------------------------- documents of an account


def _ledger() -> dict[str, Any]:
    ledger = Ledger()
    ledger.begin(NOW_MS)
    for number, (side, price) in enumerate(((Side.BUY, "60000"), (Side.BUY, "59000.5"), (Side.SELL, "61000"))):
        ledger.apply(
            "btc",
            ExecutionEvent(
                symbol=SYMBOL, exec_id=f"e{number}", order_id="o", order_link_id="l", side=side,
                price=Decimal(price), qty=Decimal("0.01"), fee=Decimal("0.1"),
                is_maker=True, exec_type=ExecType.TRADE, exchange_ts=NOW_MS + number,
            ),
        )  # fmt: skip
    return document_of(ledger)


LEDGER = _ledger()


def ledger_document(rng: random.Random) -> Any:
    return changed(rng, LEDGER)


def ledger(document: Any) -> str:
    try:
        read = ledger_of(document)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):  # as the checkpoint does
        return "refused"
    assert all(total.net.is_finite() for total in read.totals.values())
    assert max(read.complete_to, read.checked_to, read.last_exec_ts) < 2**63
    again = document_of(read)
    assert document_of(ledger_of(again)) == again
    return "read"


GRID = {
    "symbol": SYMBOL, "grid_count": 4, "grid_step": "0.2", "tick_size": "0.1", "levels": [[1, "Buy"], [2, "wait"]],
    "last_fill": None, "anchor": "60000.1", "version": 3, "exchange_ts": NOW_MS, "pending": ["60000"],
}  # fmt: skip
HOLDS = {"halted": {"reason": "a fault", "who": "fault", "since_ms": NOW_MS}}
LOSSES = {"baseline": "10.5", "latched": "", "since_ms": 1, "fees": {"MNT": "0.1"}}
ORDERS = {"orders": []}
DOCUMENTS: tuple[tuple[Callable[[Any], Any], Any], ...] = (
    (GridState.from_dict, GRID),
    (Holds.from_document, HOLDS),
    (LossState.from_document, LOSSES),
    (lambda document: OpenOrders().restore(document["orders"]), ORDERS),
)


def stored(rng: random.Random) -> tuple[int, bytes]:
    kind = rng.randrange(len(DOCUMENTS))
    return kind, bytes_of(rng, changed(rng, DOCUMENTS[kind][1]))


def read_document(told: tuple[int, bytes]) -> str:
    kind, content = told
    try:
        plain = decode(content)
    except ValueError:
        return "set aside"
    try:
        DOCUMENTS[kind][0](plain)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        return "refused"
    return "read"


# ---------------------------------------------------------------------- the paper exchange's state


CONFIG = manual_config(market={"source": "manual", "symbols": {SYMBOL: {"price": 60000}}})


def _exchange() -> Exchange:
    return PaperServer(PaperSpec(config=CONFIG, accounts=(ALICE,))).exchange


def _whole_state() -> list[Any]:
    """The records of a state file, of an account that has an order, a leg, executions and closed PnL."""
    exchange = _exchange()
    api = Api(exchange)
    for side, qty, price in (("Buy", "1", "61000"), ("Sell", "0.5", "59000"), ("Buy", "1", "50000")):
        params = limit_order(SYMBOL, side, qty, price, 1, timeInForce="GTC")
        api.call(ROUTES["/v5/order/create"], "/v5/order/create", exchange.accounts[ALICE.name], params, NOW_MS)
    markets = {SYMBOL: (exchange.markets[SYMBOL].seq, NOW_MS)}
    return [orjson.loads(body) for body in WholeState(exchange, markets).bodies()]


@functools.cache
def _records() -> list[Any]:
    return _whole_state()


def paper_state(rng: random.Random) -> bytes:
    """A state file with a good frame around everything: what a checksum does not notice."""
    at, records = rng.randrange(len(_records())), list(_records())
    records[at] = changed(rng, records[at])
    bodies = [b'{"through":1}', *map(dumped, records), b'{"end":%d}' % len(records)]
    lines = b"".join(map(frame, bodies))
    return hurt(rng, lines) if rng.random() < 0.2 else lines


def paper_opened(content: bytes) -> str:
    path = _root / "paper.json"
    shutil.rmtree(f"{path}.journal", ignore_errors=True)
    path.write_bytes(content)
    file = ExchangeFile(path)
    try:
        file.open(_exchange())
    except StateFileError as error:
        return "refused" if len(str(error)) < 3_000 else "endless mistake"
    file.close()
    return "read"


# ---------------------------------------------------------------------- files of a market, log lines

TRADES = b"timestamp,symbol,side,size,price\n" + b"".join(
    b"%d.5,BTCUSDT,%s,0.01,60000.%d\n" % (NOW_MS // 1000 + second, b"Buy" if second % 2 else b"Sell", second)
    for second in range(4)
)
BARS = b"start,open,high,low,close,volume\n" + b"".join(
    b"%d,60000,60100.5,59900,60050,1%d\n" % (NOW_MS + minute * 60_000, minute) for minute in range(4)
)
METATRADER = b"2026.01.01 00:00,60000,60100,59900,60050,1\n2026.01.01 00:01,60000,60100,59900,60050,1\n"
CELLS = (
    *("", "-1", "0", "1e30", "1e999999", "nan", "inf", "1_0", "9" * 30, "x" * 200_000, '"', "\x00", "Buy", "sell"),
    *("0001-01-01", "9999-12-31T23:59:59", "2026-01-01", "1800000000000000000", "9999.12.31 23:59", "\u0661"),
)


def trade_file(rng: random.Random) -> bytes:
    text = rng.choice((TRADES, BARS, METATRADER))
    lines = [line.split(b",") for line in text.splitlines()]
    for _ in range(rng.choice((0, 1, 1, 2))):
        line = rng.choice(lines)
        line[rng.randrange(len(line))] = rng.choice(CELLS).encode()
    text = b"\n".join(b",".join(line) for line in lines)
    return hurt(rng, text) if rng.random() < 0.3 else text


def replayed(content: bytes) -> str:
    path = _root / "trades.csv"
    path.write_bytes(content)
    try:
        trades = list(itertools.islice(read_file(path, SYMBOL), 1000))
    except ReplayError as error:
        return "refused" if len(str(error)) < 3_000 else "endless mistake"
    assert all(0 <= at_s < 1e11 and trade.price > 0 and trade.size >= 0 for at_s, trade in trades)
    return "trades"


TIER = {"symbol": SYMBOL, "riskLimitValue": "2000000", "maintenanceMargin": "0.005", "initialMargin": "0.01",
        "mmDeduction": "", "maxLeverage": "100.00"}  # fmt: skip
ROW = {**INSTRUMENT, "contractType": "LinearPerpetual", "settleCoin": "USDT", "baseCoin": "BTC", "symbolId": 5,
       "launchTime": "1585526400000", "upperFundingRate": "0.00375"}  # fmt: skip
CATALOGUE = tuple(
    {"retCode": 0, "result": {"list": [row]}} for row in (ROW, TIER, {"symbol": SYMBOL, "lastPrice": "60000.1"})
)


def catalogue(rng: random.Random) -> bytes:
    text = b"\n".join(dumped(changed(rng, answer)) for answer in CATALOGUE)
    return hurt(rng, text) if rng.random() < 0.3 else text


def listings(content: bytes) -> str:
    path = _root / "instruments.json"
    path.write_bytes(content)
    try:
        found = read_catalogue(path)
    except CatalogueError as error:
        return "refused" if len(str(error)) < 3_000 else "endless mistake"
    for listing in found.values():
        assert listing.instrument.tick_size > 0
        assert listing.launch_ms >= 0
    return "listings"


LINE = {"time": "2026-11-29T15:00:00.000Z", "level": "INFO", "process": "worker-alice", "account": "alice",
        "message": "btc: an order", "lines_lost_before": 3}  # fmt: skip


def log_line(rng: random.Random) -> str:
    return bytes_of(rng, changed(rng, LINE)).decode(errors="surrogateescape" if rng.random() < 0.1 else "replace")


def logs(line: str) -> str:
    text = human(line, 20)
    assert text is None or (text.isprintable() and len(text) < 10_000)
    return "line" if text is not None else "below"
