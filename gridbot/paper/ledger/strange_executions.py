"""Executions that no order makes and no market: on command, for tests and trials. Pure.

    Dividend, Settle, SessionSettlePnL, any word    money comes or goes, the leg stays
    MovePosition, any word with a quantity          a part of a leg is gone at a price, without an order
    AdlTrade                                        the same, since another account could not pay (`adl`)
    Delivery                                        all orders of the symbol end, and both legs at a price

and frames of the wallet in which the settle coin has no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.charges import Charges
from gridbot.paper.accounts.exchange_order import Execution
from gridbot.paper.accounts.leg import Leg, rounded
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.settlement import Settlement
from gridbot.paper.rows.outbox import Outbox

__all__ = ["COMMANDS", "StrangeExecutions"]

ZERO = Decimal(0)
COMMANDS = ("charges", "execution", "deliver", "adl", "wallet")
CREATE_TYPES = {"Delivery": "CreateBySettle", "AdlTrade": "CreateByAdl_PassThrough"}


class StrangeExecutions:
    """Amounts in USDT; quantities in base coin."""

    def __init__(self, state: ExchangeState, settlement: Settlement, outbox: Outbox) -> None:
        self._state = state
        self._settlement = settlement
        self._outbox = outbox

    def carry_out(self, command: Mapping[str, Any], now_ms: int) -> None:
        """One of `COMMANDS`, by its `action`. KeyError, ValueError or ArithmeticError for what makes no sense."""
        account = self._state.accounts[command["account"]]
        match command["action"]:
            case "charges":
                tax, price = Decimal(command.get("tax", "0")), Decimal(command.get("price", "1"))
                account.charges = Charges(tax, command.get("coin", "USDT"), price)
            case "execution":
                leg = account.leg(command["symbol"], command["positionIdx"])
                qty, money = Decimal(command.get("qty", "0")), Decimal(command.get("money", "0"))
                self.book(account, leg, command["type"], now_ms, qty=qty, money=money)
            case "deliver":
                self.deliver(account, command["symbol"], Decimal(command["price"]), now_ms)
            case "adl":
                leg = account.leg(command["symbol"], command["positionIdx"])
                self.book(account, leg, "AdlTrade", now_ms, qty=Decimal(command.get("qty", leg.size)))
            case "wallet":
                self._outbox.coin_changed(account, command["coin"])

    def deliver(self, account: Account, symbol: str, price: Decimal, now_ms: int) -> None:
        """The contract is over: orders end with CancelBySettle, legs are closed at this price."""
        self.end_orders(account, symbol, now_ms)
        for leg in account.held(symbol):
            if leg is not None:
                self.book(account, leg, "Delivery", now_ms, qty=leg.size, price=price)
        self._outbox.flush()

    def end_orders(self, account: Account, symbol: str, now_ms: int) -> None:
        """Every order of a symbol ends with CancelBySettle."""
        for order in account.resting_on(symbol):
            self._settlement.end(account, order, now_ms, cancel_type="CancelBySettle")
        self._outbox.flush()

    def book(
        self,
        account: Account,
        leg: Leg,
        word: str,
        now_ms: int,
        *,
        qty: Decimal = ZERO,
        money: Decimal = ZERO,
        price: Decimal | None = None,
    ) -> Execution:
        """`qty` of the leg goes at a price (the mark when None), or `money` comes in when that is 0."""
        if not 0 <= qty <= leg.size:
            raise ValueError(f"expected 0 to {leg.size} of the {leg.direction}, got {qty}")
        market = self._state.markets[leg.symbol]
        price, seq, number = market.mark if price is None else price, market.next_seq(), self._state.ids.take()
        realised = rounded(money)
        if qty:
            realised = leg.apply(leg.direction.close_side, qty, price, ZERO, now_ms, seq).realised
        account.pay(realised=realised)
        execution = Execution(
            number=number,
            exec_id=self._state.ids.text(number),
            symbol=leg.symbol,
            side=leg.direction.close_side if qty else leg.direction.open_side,
            price=price,
            qty=qty or leg.size,
            fee=ZERO,
            fee_rate=ZERO,
            exec_type=word,
            is_maker=False,
            time_ms=now_ms,
            seq=seq,
            mark_price=market.mark,
            closed_size=qty,
            realised=realised,
            create_type=CREATE_TYPES.get(word, ""),
            position_size=leg.signed_size,
            wallet=account.wallet,
        )
        account.add_execution(execution)
        self._outbox.executed(account, execution, None)
        for each in self._state.legs(account, leg.symbol):
            self._outbox.leg_changed(account, each)
        if qty:
            self._settlement.uncover(account, leg, leg.size, now_ms)
        self._outbox.flush()
        return execution
