"""Events made at once are those that the worker would read of the exchange's rows."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

from gridbot.backtest import event_outbox
from gridbot.backtest.run_options import Options
from gridbot.backtest.run_venue import RunVenue
from gridbot.bybit.parse_account import parse_execution, parse_order, parse_position, parse_wallet
from gridbot.core import PositionEvent, WalletEvent
from gridbot.paper.rows.account_rows import position_row, wallet_row
from gridbot.paper.rows.outbox import Outbox
from tests.backtest.backtest_examples import Ran, config_of, day_of
from tests.backtest.test_quiet_stops import SYMBOLS, wild_config, wild_day


class Checked(event_outbox.EventOutbox):
    """Makes each of them in both ways."""

    seen: ClassVar[Counter[str]] = Counter()

    def same(self, kind: str, made: Any, read: Any) -> Any:
        assert made == read
        self.seen[kind] += 1
        return made

    def _order_row(self, order: Any) -> Any:
        return self.same("order", super()._order_row(order), parse_order(Outbox._order_row(self, order)))

    def _execution_row(self, execution: Any) -> Any:
        read = parse_execution(Outbox._execution_row(self, execution))
        return self.same(execution.exec_type, super()._execution_row(execution), read)

    def _leg_row(self, account: Any, leg: Any, figures: Any) -> Any:
        read = parse_position(Outbox._leg_row(self, account, leg, figures))
        return self.same("held" if leg.size else "flat", super()._leg_row(account, leg, figures), read)

    def _wallet_row(self, account: Any, figures: Any) -> Any:
        made = super()._wallet_row(account, figures)
        read = parse_wallet(Outbox._wallet_row(self, account, figures), self._now_ms())
        return self.same("wallet", made, read)


def test_each_is_what_its_row_says(monkeypatch):
    Checked.seen = Counter()
    monkeypatch.setattr("gridbot.backtest.run_venue.EventOutbox", Checked)
    for seed in range(6):
        draw = random.Random(seed)
        config = wild_config(draw, SYMBOLS[:2])
        Ran(config, [wild_day(draw, symbol) for symbol in SYMBOLS[:2]], Options(seed=seed), 6)
    assert Checked.seen.keys() >= {"order", "Trade", "Funding", "held", "flat", "wallet"}, Checked.seen


def test_what_is_listed_is_what_its_row_says(monkeypatch):
    seen: Counter[str] = Counter()

    def legs(venue: RunVenue, symbol: str) -> list[PositionEvent]:
        found, exchange = read_legs(venue, symbol), venue.exchange
        figures = exchange.totals(venue.account)
        rows = [
            position_row(venue.account, leg, exchange.state.valuation, figures)
            for leg in exchange.state.legs(venue.account, symbol)
        ]
        assert found == [parse_position(row) for row in rows]
        seen.update("held" if leg.size else "flat" for leg in found)
        return found

    def wallet(venue: RunVenue) -> WalletEvent:
        found = read_wallet(venue)
        row = wallet_row(venue.account, venue.exchange.totals(venue.account))
        assert found == replace(parse_wallet(row, found.exchange_ts), is_whole=True)
        seen["wallet"] += 1
        return found

    read_legs, read_wallet = RunVenue.legs, RunVenue.wallet
    monkeypatch.setattr(RunVenue, "legs", legs)
    monkeypatch.setattr(RunVenue, "wallet", wallet)
    Ran(config_of(), [day_of([50_000] * 5 + [49_400] * 300)], minutes=5)
    assert seen.keys() == {"held", "flat", "wallet"}
