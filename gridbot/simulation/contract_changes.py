"""Faults of a contract's life: it is delisted, closed for a while, gets another lot, a leg is cut or deleveraged,
and the engine ends what was accepted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from gridbot.paper.accounts.leg import Leg
from gridbot.simulation.run_faults import Fault, FaultKind
from gridbot.simulation.stage import Stage

__all__ = ["BEGIN", "END"]


def _symbol(stage: Stage, fault: Fault) -> str:
    symbols = stage.symbols or stage.moving
    return symbols[int(float(fault.what["pick"]) * len(symbols))]


def _delisting(stage: Stage, fault: Fault) -> bool:
    """Announced, settled and closed within the run; another symbol has to be left to trade."""
    if len(stage.symbols) < 2:
        return False
    stage.venue.market.delist(_symbol(stage, fault), float(fault.what["in_s"]), float(fault.what["settling_s"]))
    return True


def _not_open(stage: Stage, fault: Fault) -> bool:
    symbol, phase = _symbol(stage, fault), str(fault.what.get("phase", ""))
    stage.venue.market.list_as(symbol, status=str(fault.what["status"]), phase=phase)
    return True


def _open(stage: Stage, fault: Fault) -> bool:
    symbol = _symbol(stage, fault)
    if stage.venue.exchange.markets[symbol].instrument.status == "Closed":
        return False
    stage.venue.market.list_as(symbol, status="Trading")
    return True


def _lot_change(stage: Stage, fault: Fault) -> bool:
    symbol, market = _symbol(stage, fault), stage.venue.market
    before = stage.venue.exchange.markets[symbol].instrument.qty_step
    market.change_rules(symbol, qty_step=before * Decimal(str(fault.what["times"])))
    return True


def _held(stage: Stage, fault: Fault) -> Leg | None:
    account = stage.venue.account
    legs = [leg for (symbol, idx), leg in account.legs.items() if symbol in stage.symbols and idx and leg.size]
    return legs[int(float(fault.what["pick"]) * len(legs))] if legs else None


def _cut(stage: Stage, fault: Fault) -> bool:
    leg = _held(stage, fault)
    if leg is None:
        return False
    _set_cut(stage, leg, reduce_only=True)
    return True


def _set_cut(stage: Stage, leg: Leg, *, reduce_only: bool) -> None:
    index = leg.direction.position_idx
    stage.venue.market.cut_risk(stage.venue.account.name, leg.symbol, index, reduce_only=reduce_only)


def _lift(stage: Stage, fault: Fault) -> bool:
    for leg in [leg for leg in stage.venue.account.legs.values() if leg.reduce_only]:
        _set_cut(stage, leg, reduce_only=False)
    return True


def _adl(stage: Stage, fault: Fault) -> bool:
    leg = _held(stage, fault)
    if leg is None:
        return False
    step = stage.venue.exchange.markets[leg.symbol].instrument.qty_step
    qty = leg.size * Decimal(str(fault.what["part"])) // step * step
    row = {"symbol": leg.symbol, "positionIdx": leg.direction.position_idx, "qty": qty or leg.size}
    stage.venue.market.carry_out({"action": "adl", "account": stage.venue.account.name, **row})
    return True


def _end_at_once(stage: Stage, fault: Fault) -> bool:
    stage.venue.market.reject_orders("EC_ReachRiskPriceLimit")
    return True


def _let_in(stage: Stage, fault: Fault) -> bool:
    stage.venue.market.reject_orders("")
    return True


def _announce(stage: Stage, fault: Fault) -> bool:
    begin_ms = stage.venue.now_ms() + int(float(fault.what["after_s"]) * 1000)
    row = {"action": "maintain", "id": f"m{fault.number}", "begin": str(begin_ms), "end": str(begin_ms + 7_200_000)}
    stage.venue.market.announce(row)
    return True


def _complete(stage: Stage, fault: Fault) -> bool:
    stage.venue.market.announce({"action": "maintain", "id": f"m{fault.number}", "state": "completed"})
    return True


BEGIN: dict[FaultKind, Callable[[Stage, Fault], bool]] = {
    FaultKind.DELISTING: _delisting,
    FaultKind.NOT_OPEN: _not_open,
    FaultKind.LOT_CHANGE: _lot_change,
    FaultKind.RISK_CUT: _cut,
    FaultKind.ADL: _adl,
    FaultKind.ENDED_AT_ONCE: _end_at_once,
    FaultKind.MAINTENANCE: _announce,
}
END: dict[FaultKind, Callable[[Stage, Fault], bool]] = {
    FaultKind.NOT_OPEN: _open,
    FaultKind.RISK_CUT: _lift,
    FaultKind.ENDED_AT_ONCE: _let_in,
    FaultKind.MAINTENANCE: _complete,
}
