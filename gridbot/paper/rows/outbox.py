"""Changes of a step as rows for the private streams. Pure.

Whether a fill's execution or its order comes first is drawn from a seed: on Bybit there is no fixed order. The rows of
both legs come together in hedge mode, whichever has changed.

A step notes each change when it happens (orders change again later, so their rows are made at once) and ends with
`flush`. Positions and wallet are valued there, once, however often the step touched them. Only topics that somebody
listens to are made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from random import Random
from typing import Any, NamedTuple

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.rows.account_rows import liquidation_text, position_row, wallet_row
from gridbot.paper.rows.order_rows import OrderView, execution_row, order_row
from gridbot.paper.worth.valuation import Totals, Valuation

__all__ = ["Outbox", "Push"]

VALUED_TOPICS = frozenset({"position", "wallet"})
Row = dict[str, Any]
ALL_BUT_SEQ = attrgetter(*(each.name for each in fields(Leg) if each.name != "seq"))


class Push(NamedTuple):
    """Rows for one topic of one account's private streams."""

    account: str
    topic: str
    rows: list[Row]


@dataclass(slots=True)
class _Changes:
    """What the present step changed for one account."""

    account: Account
    orders: list[Row] = field(default_factory=list)
    executions: list[Row] = field(default_factory=list)
    pairs: dict[tuple[str, bool], None] = field(default_factory=dict)  # symbols with legs to show, and whether hedged

    def note_leg(self, symbol: str, idx: int) -> None:
        self.pairs[(symbol, idx != 0)] = None


class Outbox:
    """Pushes in the order in which things happened, until they are taken."""

    def __init__(self, valuation: Valuation, seed: int = 1) -> None:
        self._valuation = valuation
        self._draw = Random(seed)
        self._pushes: list[Push] = []
        self._changed: dict[str, _Changes] = {}
        self._rows: dict[tuple[str, str, int], tuple[Any, Row]] = {}  # what the row of a leg was made of, and it

    def __bool__(self) -> bool:
        return bool(self._pushes)

    def take(self) -> list[Push]:
        """The pushes of all steps since the last call."""
        pushes, self._pushes = self._pushes, []
        return pushes

    def order_changed(self, account: Account, order: Order) -> None:
        account.changes.order(order)
        symbol, idx = order.request.symbol, order.request.position_idx
        if account.listening:
            changes = self._of(account)
            if "order" in account.listening:
                changes.orders.append(self._order_row(order))
            changes.note_leg(symbol, idx)
        account.order_seqs[(symbol, idx)] = self._valuation.markets[symbol].next_seq()

    def executed(self, account: Account, execution: Execution, order: Order | None) -> None:
        """Note an execution and the order it belongs to (None: a funding)."""
        changes = self._of(account)
        if "execution" in account.listening:
            changes.executions.append(self._execution_row(execution))
        if order is not None and "order" in account.listening:
            changes.orders.append(self._order_row(order))

    def leg_changed(self, account: Account, leg: Leg) -> None:
        account.changes.leg(leg)
        self._of(account).note_leg(leg.symbol, leg.position_idx)

    def wallet_changed(self, account: Account) -> None:
        self._of(account)

    def coin_changed(self, account: Account, coin: str) -> None:
        """Push a wallet frame with a row of this coin alone: the settle coin has not changed, the totals are there."""
        if "wallet" in account.listening:
            row = wallet_row(account, self._valuation.totals(account))
            row["coin"] = [{**row["coin"][0], "coin": coin, "walletBalance": "1", "equity": "1", "unrealisedPnl": "0"}]
            row["coin"][0]["usdValue"] = str(account.charges.price)
            self._pushes.append(Push(account.name, "wallet", [row]))

    def flush(self) -> None:
        """End a step: turn what it changed into pushes."""
        changed, self._changed = self._changed, {}
        for changes in changed.values():
            account, orders, executions = changes.account, changes.orders, changes.executions
            name, listening = account.name, account.listening
            executions_first = orders and executions and self._draw.random() < 0.5
            if executions_first:
                self._pushes.append(Push(name, "execution", executions))
            if orders:
                self._pushes.append(Push(name, "order", orders))
            if executions and not executions_first:
                self._pushes.append(Push(name, "execution", executions))
            if listening & VALUED_TOPICS:
                self._push_values(account, changes.pairs)

    def _push_values(self, account: Account, pairs: Iterable[tuple[str, bool]]) -> None:
        """Legs and wallet as they are now worth."""
        listening, figures = account.listening, self._valuation.totals(account)
        if "position" in listening and pairs:
            rows = [self._leg_row(account, leg, figures) for leg in _legs(account, pairs)]
            self._pushes.append(Push(account.name, "position", rows))
        if "wallet" in listening:
            self._pushes.append(Push(account.name, "wallet", [self._wallet_row(account, figures)]))

    def _of(self, account: Account) -> _Changes:
        changes = self._changed.get(account.name)
        if changes is None:
            changes = self._changed[account.name] = _Changes(account)
        return changes

    def _leg_row(self, account: Account, leg: Leg, figures: Totals) -> Row:
        """From order to order, only sequence number and liquidation price change; of a flat leg the mark price changes
        nothing but itself. The rest is made once."""
        valuation = self._valuation
        market, leverage = valuation.markets[leg.symbol], valuation.leverage(account, leg.symbol, leg.direction)
        made_of: tuple[Any, ...] = ALL_BUT_SEQ(leg), leverage, market.instrument, market.listing
        if leg.size:
            made_of += (market.mark, account.isolated, figures.margin_of(leg))
        key = (account.name, leg.symbol, leg.position_idx)
        known = self._rows.get(key)
        if known is None or known[0] != made_of:
            known = self._rows[key] = made_of, position_row(account, leg, valuation, figures, stream=True)
        row = known[1].copy()
        row["markPrice"], row["seq"] = format(market.mark, "f"), account.seq_of(leg)
        if leg.size:
            row["liqPrice"] = liquidation_text(account, leg, valuation, figures)
        return row

    def _execution_row(self, execution: Execution) -> Row:
        return execution_row(execution, stream=True)

    def _wallet_row(self, account: Account, figures: Totals) -> Row:
        return wallet_row(account, figures)

    def _order_row(self, order: Order) -> Row:
        return order_row(order, self._valuation.markets[order.symbol].listing.no_qty, OrderView.STREAM)


def _legs(account: Account, pairs: Iterable[tuple[str, bool]]) -> list[Leg]:
    """Both legs of a hedged symbol, long before short, whichever has changed; in one-way mode the only one."""
    return [account.leg(symbol, idx) for symbol, is_hedged in pairs for idx in ((1, 2) if is_hedged else (0,))]
