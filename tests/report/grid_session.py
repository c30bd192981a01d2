"""A session of a grid worked out by hand, in the database: what reports are checked against.

2023-11-14 22:13:20 UTC, a Tuesday: 1,000.00 USDT, no position, BTCUSDT at 100
buys 2 at 100.00 (fee 0.04), buys 1 at 98.00 (fee 0.0196)      average entry 99.333333333333
sells 1 at 99.00 (fee 0.0198): realised -0.333333333333, the pair 98 -> 99 earned 1.00
funding 0.05
sells 1 at 102.00 as taker (fee 0.0561): realised 2.666666666667, the pair 100 -> 102 earned 2.00
left: 1 long, entry 99.333333333333, mark 101: unrealised 1.666666666667
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.records.record_types import (
    GridRecord,
    Json,
    PositionRecord,
    RunRecord,
    TickerRecord,
    UtcMs,
    WalletRecord,
)
from gridbot.report.facts import Facts, facts_from
from gridbot.report.questions import questions
from gridbot.report.report_span import Asked
from supervisor.store.query import ask_all
from tests.store.session import START_MS, Session, write_all

__all__ = ["CONFIG", "END_MS", "START_MS", "D", "GridSession", "facts_of", "store", "trade", "write_all"]

D = Decimal
END_MS = START_MS + 3_600_000
CONFIG = (
    '{"environment":"paper","account":{"name":"alice","balance":"1000","api_secret":"never"},"strategies":'
    '[{"strat_id":"btc_grid","account":"alice","symbol":"BTCUSDT","kind":"grid","grid_count":12,"grid_step":"0.2",'
    '"amount":"x0.011","shadow_mode":false,"caps":{"max_notional":"x10"}}],"paper":{"matching":"queue"}}'
)


class GridSession(Session):
    """Records of one account with money that adds up."""

    def start(self, config: str = CONFIG, environment: str = "paper", config_hash: str = "abc") -> None:
        self.add(
            RunRecord(
                event="start",
                about_run_id=self.run_id,
                environment=environment,
                version="0.1.0",
                config_hash=config_hash,
                config=Json(config),
                pid=4711,
            )
        )

    def price(self, last: str, mark: str | None = None, symbol: str = "BTCUSDT") -> None:
        mark_price = None if mark is None else D(mark)
        now = UtcMs(self.now_ms + 1000)
        self.add(TickerRecord(symbol=symbol, last_price=D(last), mark_price=mark_price, exchange_ts=now))

    def leg(self, size: str, entry: str | None, mark: str, direction: str = "long", **values: Any) -> None:
        defaults: dict[str, Any] = {
            "strategy": "btc_grid",
            "symbol": "BTCUSDT",
            "direction": direction,
            "size": D(size),
            "entry_price": None if entry is None else D(entry),
            "mark_price": D(mark),
            "exchange_ts": UtcMs(self.now_ms + 1000),
        }
        self.add(PositionRecord(**(defaults | values)))

    def balance(self, balance: str, open_result: str = "0", **values: Any) -> None:
        self.add(
            WalletRecord(
                coin="USDT",
                wallet_balance=D(balance),
                equity=D(balance) + D(open_result),
                unrealised_pnl=D(open_result),
                exchange_ts=UtcMs(self.now_ms + 1000),
                **values,
            )
        )

    def ladder(self, strategy: str = "btc_grid", symbol: str = "BTCUSDT") -> None:
        levels = Json('[["98.0","Buy"],["99.0","Wait"],["100.0","Sell"],["101.0","Sell"]]')
        self.add(GridRecord(strategy=strategy, symbol=symbol, version=7, anchor=D(99), last_fill=None, levels=levels))


def trade(session: GridSession) -> None:
    """What the text above says."""
    session.start()
    session.price("100", "100")
    session.balance("1000")
    session.ladder()
    session.fill("Buy", "100", "2")
    session.leg("2", "100", "100", liq_price=D(60))
    session.fill("Buy", "98", "1")
    session.leg("3", "99.333333333333", "98", liq_price=D(80))
    session.price("98", "98")
    session.balance("999.9404", "-4", total_initial_margin=D(30), total_maintenance_margin=D("1.5"))
    session.fill("Sell", "99", "1", realised_pnl=D("-0.333333333333"))
    session.leg("2", "99.333333333333", "99", liq_price=D(70))
    session.fill("Buy", "100", "2", exec_type="Funding", fee=D("0.05"), closed_size=D(0))
    session.fill("Sell", "102", "1", realised_pnl=D("2.666666666667"), is_maker=False)
    session.leg("1", "99.333333333333", "101")
    session.price("101", "101")
    session.balance("1002.147833333334", "1.666666666667")


def store(data_dir: Path, *cases: Callable[[GridSession], None]) -> None:
    """One database with an account for each case, named like it: making a database is what takes time."""
    for case in cases:
        session = GridSession(data_dir, case.__name__)
        case(session)
        session.close()
    write_all(data_dir)


def facts_of(data_dir: Path, from_ms: int = START_MS, to_ms: int = END_MS, **asked: Any) -> tuple[Asked, Facts]:
    """What the real records answer."""
    wanted = Asked(asked.pop("account", "alice"), from_ms, to_ms, **asked)
    statements = questions(wanted, 1)
    return wanted, facts_from(dict(zip(statements, ask_all(data_dir, list(statements.values())), strict=True)))
