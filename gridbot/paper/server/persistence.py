"""The exchange's state as plain values and back, to survive a restart. Pure.

Accounts are kept with their money, positions, settings, orders and newest executions. Prices are not: they come from
the market source. Orders that rest go to the end of their queues.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from gridbot.paper.accounts.account import Account, ClosedPnl, Transfer
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.engine.exchange import Exchange

__all__ = ["VERSION", "dump_state", "load_state"]

VERSION = 2
KEEP = 5000
MONEY = ("deposit", "wallet", "realised", "fees", "funding", "insurance")
_ORDERS = TypeAdapter(list[Order])
_EXECUTIONS = TypeAdapter(list[Execution])
_TRANSFERS = TypeAdapter(list[Transfer])
_LEGS = TypeAdapter(list[Leg])
_CLOSED = TypeAdapter(list[ClosedPnl])


def dump_state(exchange: Exchange) -> dict[str, Any]:
    """Everything to keep, as JSON values."""
    return {
        "version": VERSION,
        "run_id": exchange.state.ids.run_id,
        "number": exchange.state.ids.last,
        "accounts": {name: _dump_account(account) for name, account in exchange.accounts.items()},
    }


def _dump_account(account: Account) -> dict[str, Any]:
    return {
        **{name: str(getattr(account, name)) for name in MONEY},
        "reprice": account.reprice,
        "leverage": {symbol: str(value) for symbol, value in account.leverage.items()},
        "hedge": account.hedge,
        "legs": _LEGS.dump_python(list(account.legs.values()), mode="json"),
        "open": _ORDERS.dump_python(list(account.open.values()), mode="json"),
        "closed": _ORDERS.dump_python(list(account.closed.values())[-KEEP:], mode="json"),
        "executions": _EXECUTIONS.dump_python(list(account.executions)[-KEEP:], mode="json"),
        "transfers": _TRANSFERS.dump_python(account.transfers, mode="json"),
        "dcp_window_s": account.dcp_window_s,
        "closed_pnl": _CLOSED.dump_python(list(account.closed_pnl.values())[-KEEP:], mode="json"),
    }


def load_state(exchange: Exchange, state: Mapping[str, Any]) -> None:
    """Put a dumped state into a fresh exchange. Raise ValueError when it is of another version or damaged.

    Accounts that are no longer configured and symbols that are no longer listed are left out.
    """
    if state.get("version") != VERSION:
        raise ValueError(f"expected state of version {VERSION}, got {state.get('version')!r}")
    exchange.state.ids.resume(str(state["run_id"]), int(state["number"]))
    for name, kept in state["accounts"].items():
        if name in exchange.accounts:
            _load_account(exchange, exchange.accounts[name], kept)


def _load_account(exchange: Exchange, account: Account, kept: Mapping[str, Any]) -> None:
    for name in MONEY:
        setattr(account, name, Decimal(kept[name]))
    account.reprice = bool(kept["reprice"])
    account.leverage = {symbol: Decimal(value) for symbol, value in kept["leverage"].items()}
    account.hedge = dict(kept["hedge"])
    listed = exchange.markets
    for leg in _LEGS.validate_python(kept["legs"]):
        if leg.symbol in listed:
            account.legs[(leg.symbol, leg.position_idx)] = leg
    for order in _ORDERS.validate_python(kept["closed"]):
        account.closed[order.order_id] = order
        if order.link_id:
            account.by_link[order.link_id] = order
    for order in _ORDERS.validate_python(kept["open"]):
        if order.symbol in listed:
            exchange.restore(account, order)
    account.executions.extend(e for e in _EXECUTIONS.validate_python(kept["executions"]) if e.symbol in listed)
    account.transfers = _TRANSFERS.validate_python(kept["transfers"])
    account.dcp_window_s = kept["dcp_window_s"]
    for row in _CLOSED.validate_python(kept["closed_pnl"]):
        row.order = account.find(row.order.order_id, "") or row.order
        account.closed_pnl[row.order.order_id] = row
