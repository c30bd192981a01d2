"""Faults of money: executions that are no trades, taxes, fees in another coin, wallet frames without USDT."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from gridbot.paper.accounts.charges import Charges
from gridbot.simulation.run_faults import Fault, FaultKind
from gridbot.simulation.stage import Stage

__all__ = ["BEGIN", "END"]


def _execution(stage: Stage, fault: Fault) -> bool:
    """An execution without an order. What takes a part of a leg needs one; anything else brings or takes money."""
    draw = random.Random(float(fault.what["pick"]))
    symbol, word = draw.choice(stage.symbols or stage.moving), str(fault.what["word"])
    venue, account, now_ms = stage.venue, stage.venue.account, stage.venue.now_ms()
    if not account.hedge.get(symbol, False):
        return False
    leg, strange = account.leg(symbol, draw.choice((1, 2))), venue.exchange.strange
    step = venue.exchange.markets[symbol].instrument.qty_step
    if word == "Delivery":
        if not any(account.held(symbol)):
            return False
        strange.deliver(account, symbol, venue.exchange.markets[symbol].last, now_ms)
    elif str(fault.what["moves"]) == "yes":
        qty = leg.size * Decimal(str(fault.what["part"])) // step * step
        if not qty:
            return False
        strange.book(account, leg, word, now_ms, qty=qty)
    else:
        strange.book(account, leg, word, now_ms, money=Decimal(str(fault.what["money"])))
    venue.deliver()
    return True


def _charges(stage: Stage, fault: Fault) -> bool:
    tax, coin = Decimal(str(fault.what["tax"])), str(fault.what["coin"])
    stage.venue.account.charges = Charges(tax, coin, Decimal("0.8"))
    return True


def _no_charges(stage: Stage, fault: Fault) -> bool:
    stage.venue.account.charges = Charges()
    return True


def _coin_frame(stage: Stage, fault: Fault) -> bool:
    stage.venue.exchange.outbox.coin_changed(stage.venue.account, "MNT")
    stage.venue.deliver()
    return True


BEGIN: dict[FaultKind, Callable[[Stage, Fault], bool]] = {
    FaultKind.STRANGE_EXECUTION: _execution,
    FaultKind.CHARGES: _charges,
    FaultKind.COIN_FRAME: _coin_frame,
}
END: dict[FaultKind, Callable[[Stage, Fault], bool]] = {FaultKind.CHARGES: _no_charges}
