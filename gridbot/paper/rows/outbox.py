"""Changes of a step as rows for the private streams. Pure.

Whether a fill's execution or its order comes first is drawn from a seed: on Bybit there is no fixed order. The rows of
both legs come together in hedge mode, whichever has changed.

A step notes each change when it happens (orders change again later, so their rows are made at once) and ends with
`flush`. Positions and wallet are valued there, once, however often the step touched them. Only topics that somebody
listens to are made.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from random import Random
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.valuation import Totals, Valuation
from gridbot.paper.rows.account_rows import position_row, wallet_row
from gridbot.paper.rows.order_rows import OrderView, execution_row, order_row

__all__ = ["Outbox", "Push"]

VALUED_TOPICS = frozenset({"position", "wallet"})
Row = dict[str, Any]
ALL_BUT_SEQ = attrgetter(*(each.name for each in fields(Leg) if each.name != "seq"))


@dataclass(frozen=True, slots=True)
class Push:
    """Rows for one topic of one account's private streams."""

    account: str
    topic: str
    rows: list[Row]


@dataclass(slots=True)
class _Changes:
    """What the present step changed for one account."""

    account: Account
    orders: list[Row]
    executions: list[Row]
    legs: dict[tuple[str, int], Leg]


class Outbox:
    """Pushes in the order in which things happened, until they are taken."""

    def __init__(self, valuation: Valuation, seed: int = 1) -> None:
        self._valuation = valuation
        self._draw = Random(seed)
        self._pushes: list[Push] = []
        self._changed: dict[str, _Changes] = {}
        self._flat: dict[tuple[str, str, int], tuple[Any, Row]] = {}  # what the row of a flat leg was made of, and it

    def __bool__(self) -> bool:
        return bool(self._pushes)

    def take(self) -> list[Push]:
        """The pushes of all steps since the last call."""
        pushes, self._pushes = self._pushes, []
        return pushes

    def order_changed(self, account: Account, order: Order) -> None:
        account.changes.order(order)
        changes = self._of(account)
        if "order" in account.listening:
            changes.orders.append(self._order_row(order))
        leg = account.leg(order.symbol, order.request.position_idx)
        account.order_seqs[(leg.symbol, leg.position_idx)] = self._valuation.markets[order.symbol].next_seq()
        changes.legs[(leg.symbol, leg.position_idx)] = leg

    def executed(self, account: Account, execution: Execution, order: Order | None) -> None:
        """Note an execution and the order it belongs to (None: a funding)."""
        changes = self._of(account)
        if "execution" in account.listening:
            listing = self._valuation.markets[execution.symbol].listing
            changes.executions.append(execution_row(execution, listing, stream=True))
        if order is not None and "order" in account.listening:
            changes.orders.append(self._order_row(order))

    def leg_changed(self, account: Account, leg: Leg) -> None:
        account.changes.leg(leg)
        self._of(account).legs[(leg.symbol, leg.position_idx)] = leg

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
            account = changes.account
            listening = account.listening
            topics = [("order", changes.orders), ("execution", changes.executions)]
            if all(rows for _, rows in topics) and self._draw.random() < 0.5:
                topics.reverse()
            self._pushes += [Push(account.name, topic, rows) for topic, rows in topics if rows]
            if not listening & VALUED_TOPICS:
                continue
            figures = self._valuation.totals(account)
            if "position" in listening and changes.legs:
                rows = [self._leg_row(account, leg, figures) for leg in _with_other_legs(account, changes.legs)]
                self._pushes.append(Push(account.name, "position", rows))
            if "wallet" in listening:
                self._pushes.append(Push(account.name, "wallet", [wallet_row(account, figures)]))

    def _of(self, account: Account) -> _Changes:
        changes = self._changed.get(account.name)
        if changes is None:
            changes = self._changed[account.name] = _Changes(account, [], [], {})
        return changes

    def _leg_row(self, account: Account, leg: Leg, figures: Totals) -> Row:
        """Of a flat leg, only mark price and sequence number change from order to order: the rest is made once."""
        valuation = self._valuation
        if leg.size:
            return position_row(account, leg, valuation, figures, stream=True)
        market, leverage = valuation.markets[leg.symbol], valuation.leverage(account, leg.symbol, leg.direction)
        made_of = (ALL_BUT_SEQ(leg), leverage, market.instrument, market.listing)
        key = (account.name, leg.symbol, leg.position_idx)
        known = self._flat.get(key)
        if known is None or known[0] != made_of:
            known = self._flat[key] = made_of, position_row(account, leg, valuation, figures, stream=True)
        return known[1] | {"markPrice": format(market.mark, "f"), "seq": account.seq_of(leg)}

    def _order_row(self, order: Order) -> Row:
        return order_row(order, self._valuation.markets[order.symbol].listing, OrderView.STREAM)


def _with_other_legs(account: Account, legs: dict[tuple[str, int], Leg]) -> list[Leg]:
    """The legs that changed, in hedge mode with the other one of their pair, long before short."""
    keys: dict[tuple[str, int], None] = {}
    for symbol, idx in legs:
        for shown in (1, 2) if idx else (0,):
            keys[(symbol, shown)] = None
    return [account.leg(*key) for key in keys]
