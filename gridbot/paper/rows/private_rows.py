"""Rows as Bybit sends them: orders, executions, positions, wallets, tickers. Pure.

Field sets follow docs/bybit.md 2.7 (names) and 2, 3, 5.2, 5.3 (meaning); `stream=True` gives the stream's
names where they differ. Numbers are text, unknown ones are the empty string.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account, ClosedPnl, Leg
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.stop_kinds import STOP_OF_CREATE_TYPE, TpslMode
from gridbot.paper.accounts.valuation import Totals, leg_margin, legs_of
from gridbot.paper.engine.pair_margin import FLAT, pair_liquidation_prices, tier_for
from gridbot.paper.market.instruments import Listing
from gridbot.paper.market.symbol_market import SymbolMarket

__all__ = [
    "closed_pnl_row",
    "exact",
    "execution_row",
    "fast_execution_row",
    "order_row",
    "plain",
    "position_row",
    "wallet_row",
]

ZERO = Decimal(0)
UNIT = Decimal("0.00000001")
STOPS = {"CreateByStopOrder": "Stop"} | {create_type: kind.value for create_type, kind in STOP_OF_CREATE_TYPE.items()}


def plain(value: Decimal) -> str:
    """Without exponent and trailing zeros: `250`, `25.13575`; at most eight decimals."""
    if not value:
        return "0"
    text = format(value, "f")
    decimals = len(text) - 1 - text.find(".") if "." in text else 0
    if not decimals:
        return text
    if decimals > 8:
        text = format(value.quantize(UNIT), "f")
    return text.rstrip("0").rstrip(".")


def exact(value: Decimal) -> str:
    """As `plain`, but with all its decimals: amounts that others add up."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def _ms(value: int) -> str:
    return str(value)


def order_row(order: Order, listing: Listing, *, stream: bool = False) -> dict[str, Any]:
    """An order of realtime, history or the order topic."""
    request = order.request
    trigger = request.trigger
    fee = plain(order.cum_fee)
    leaves = order.leaves
    no_qty = listing.instrument.qty_step * 0
    row: dict[str, Any] = {
        "symbol": request.symbol,
        "orderId": order.order_id,
        "orderLinkId": request.order_link_id,
        "parentOrderLinkId": request.parent_link_id,
        "blockTradeId": "",
        "side": request.side.value,
        "positionIdx": request.position_idx,
        "orderStatus": order.status.value,
        "createType": request.create_type,
        "cancelType": order.cancel_type,
        "rejectReason": order.reject_reason,
        "timeInForce": "IOC" if order.is_market else request.time_in_force,
        "isLeverage": "",
        "price": "0" if request.price is None and order.is_stop else format(order.price, "f"),
        "qty": format(order.qty, "f"),
        "avgPrice": plain(order.cum_value / order.cum_qty) if order.cum_qty else "",
        "leavesQty": format(leaves or no_qty, "f"),
        "leavesValue": plain(leaves * order.price),
        "cumExecQty": format(order.cum_qty or no_qty, "f"),
        "cumExecValue": plain(order.cum_value),
        "cumExecFee": fee,
        "cumFeeDetail": {"USDT": fee} if order.cum_qty else {},
        "orderType": "Market" if order.is_market else "Limit",
        "stopOrderType": STOPS.get(request.create_type, "Stop") if trigger else "" if stream else "UNKNOWN",
        "orderIv": "",
        "marketUnit": "",
        "triggerPrice": format(trigger.price, "f") if trigger else "",
        "takeProfit": "",
        "stopLoss": "",
        "tpslMode": _tpsl_mode(order),
        "ocoTriggerBy": "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "triggerDirection": trigger.direction if trigger else 0,
        "triggerBy": trigger.by if trigger else "",
        "lastPriceOnCreated": format(order.last_price, "f"),
        "reduceOnly": request.reduce_only,
        "closeOnTrigger": request.close_on_trigger,
        "placeType": "",
        "smpType": request.smp_type,
        "smpGroup": 0,
        "smpOrderId": order.smp_order_id,
        "slippageToleranceType": request.slippage.kind if request.slippage else "UNKNOWN",
        "slippageTolerance": plain(request.slippage.value) if request.slippage else "",
        "rpiTakerAccess": request.rpi_taker_access,
        "rpiMatchedQty": "0",
        "createdTime": _ms(order.created_ms),
        "updatedTime": _ms(order.updated_ms),
    }
    if request.attached is not None:
        for prefix, name, stop in (
            ("tp", "takeProfit", request.attached.take_profit),
            ("sl", "stopLoss", request.attached.stop_loss),
        ):
            if stop is not None:
                row[name] = format(stop.price, "f")
                row[f"{prefix}TriggerBy"] = stop.by
                row[f"{prefix}LimitPrice"] = "" if stop.limit is None else format(stop.limit, "f")
    if stream:
        row["category"] = "linear"
        row["closedPnl"] = plain(order.closed_pnl)
        row["feeCurrency"] = ""
    else:
        row["extraFees"] = ""
    return row


def _tpsl_mode(order: Order) -> str:
    """Of a stop, or of the stops that an order brings along; empty for any other order."""
    if order.request.attached is not None:
        return order.request.attached.mode.value
    kind = order.stop_kind
    return "" if kind is None else (TpslMode.PARTIAL if kind.is_partial else TpslMode.FULL).value


def execution_row(execution: Execution, listing: Listing, *, stream: bool = False) -> dict[str, Any]:
    """A row of execution/list or of the execution topic (`execPnl` and a list as `extraFees` there)."""
    no_qty = listing.instrument.qty_step * 0
    row: dict[str, Any] = {
        "symbol": execution.symbol,
        "orderId": execution.order_id,
        "orderLinkId": execution.order_link_id,
        "side": execution.side.value,
        "orderPrice": format(execution.order_price, "f"),
        "orderQty": format(execution.order_qty, "f"),
        "leavesQty": format(execution.leaves_qty or no_qty, "f"),
        "createType": execution.create_type,
        "orderType": execution.order_type,
        "stopOrderType": STOPS.get(execution.create_type, "UNKNOWN"),
        "execFee": plain(execution.fee),
        "execId": execution.exec_id,
        "execPrice": format(execution.price, "f"),
        "execQty": format(execution.qty, "f"),
        "execType": execution.exec_type,
        "execValue": plain(execution.value),
        "execTime": _ms(execution.time_ms),
        "feeCurrency": "USDT",
        "isMaker": execution.is_maker,
        "feeRate": plain(execution.fee_rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": format(execution.mark_price, "f"),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": format(execution.closed_size or no_qty, "f"),
        "seq": execution.seq,
    }
    if stream:
        row["category"] = "linear"
        row["isLeverage"] = "0"
        row["marketUnit"] = ""
        row["execPnl"] = plain(execution.realised)
        row["extraFees"] = []
    else:
        row["extraFees"] = ""
    return row


def fast_execution_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields of execution.fast; a maker's link id is withheld there (docs/bybit.md 5.3)."""
    names = ("category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "side", "execTime", "seq")
    return {name: row[name] for name in names} | {"orderLinkId": "" if row["isMaker"] else row["orderLinkId"]}


def _liquidation_price(account: Account, leg: Leg, market: SymbolMarket, equity: Decimal) -> str:
    long, short = legs_of(account, leg.symbol)
    prices = pair_liquidation_prices(
        long.size if long else ZERO,
        long.entry if long else ZERO,
        short.size if short else ZERO,
        short.entry if short else ZERO,
        equity=equity,
        tiers=market.instrument.tiers,
    )
    price = prices[0] if leg.direction is Direction.LONG else prices[1]
    instrument = market.instrument
    if price is None or not instrument.min_price < price < instrument.max_price:
        return ""
    return format(instrument.price(instrument.ticks(price)), "f")


def position_row(
    account: Account,
    leg: Leg,
    market: SymbolMarket,
    leverage: Decimal,
    taker: Decimal,
    equity: Decimal,
    *,
    stream: bool = False,
) -> dict[str, Any]:
    """A row of position/list or of the position topic; a flat leg has an empty side."""
    held = bool(leg.size)
    margin = leg_margin(account, leg, market, leverage, taker) if held else FLAT
    tier = tier_for(market.instrument.tiers, leg.cost)
    sign = 1 if leg.direction is Direction.LONG else -1
    break_even = ""
    if held:
        spent = leg.cost * sign - leg.current_realised
        break_even = plain(spent / (leg.size * sign - leg.size * max(taker, Decimal("0.00055"))))
    initial, maintenance = plain(margin.initial), plain(margin.maintenance)
    no_price = "0" if stream else ""
    row: dict[str, Any] = {
        "positionIdx": leg.position_idx,
        "riskId": market.listing.symbol_id * 10 + market.instrument.tiers.index(tier) + 1,
        "riskLimitValue": plain(tier.limit),
        "symbol": leg.symbol,
        "side": leg.direction.open_side.value if held else "",
        "size": format(leg.size, "f") if held else "0",
        "entryPrice" if stream else "avgPrice": plain(leg.entry),
        "positionValue": plain(leg.cost) if held else ("0" if stream else ""),
        "tradeMode": 0,
        "positionStatus": leg.status,
        "autoAddMargin": 0,
        "adlRankIndicator": 2 if held else 0,
        "leverage": plain(leverage),
        "breakEvenPrice": break_even or no_price,
        "positionBalance": "0",
        "markPrice": format(market.mark, "f"),
        "liqPrice": _liquidation_price(account, leg, market, equity) if held else "",
        "bustPrice": "",
        "positionMM": maintenance,
        "positionMMByMp": maintenance,
        "positionIM": initial,
        "positionIMByMp": initial,
        "tpslMode": "Full",
        "takeProfit": no_price if leg.take_profit is None else format(leg.take_profit, "f"),
        "stopLoss": no_price if leg.stop_loss is None else format(leg.stop_loss, "f"),
        "trailingStop": "0" if leg.trailing_stop is None else format(leg.trailing_stop, "f"),
        "unrealisedPnl": plain(leg.unrealised(market.mark)) if held else no_price,
        "curRealisedPnl": plain(leg.current_realised),
        "cumRealisedPnl": plain(leg.total_realised),
        "seq": leg.seq,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "",
        "openTime": leg.opened_ms,
        "createdTime": _ms(leg.created_ms),
        "updatedTime": _ms(leg.updated_ms),
    }
    if stream:
        row["category"] = "linear"
    return row


def _rate(part: Decimal, whole: Decimal) -> str:
    return plain((part / whole).quantize(Decimal("0.0001"))) if whole > 0 else ""


def wallet_row(account: Account, figures: Totals) -> dict[str, Any]:
    """The only row of wallet-balance and of the wallet topic. USDT counts as one USD."""
    equity, wallet = plain(figures.equity), plain(figures.wallet)
    unrealised = plain(figures.unrealised)
    initial, maintenance = plain(figures.initial), plain(figures.maintenance)
    initial_rate = _rate(figures.initial, figures.equity)
    maintenance_rate = _rate(figures.maintenance, figures.equity)
    return {
        "accountType": "UNIFIED",
        "accountIMRate": initial_rate,
        "accountIMRateByMp": initial_rate,
        "accountMMRate": maintenance_rate,
        "accountMMRateByMp": maintenance_rate,
        "totalEquity": equity,
        "totalWalletBalance": wallet,
        "totalMarginBalance": equity,
        "totalAvailableBalance": plain(max(ZERO, figures.available)),
        "totalPerpUPL": unrealised,
        "totalInitialMargin": initial,
        "totalInitialMarginByMp": initial,
        "totalMaintenanceMargin": maintenance,
        "totalMaintenanceMarginByMp": maintenance,
        "accountLTV": "0",
        "coin": [
            {
                "coin": "USDT",
                "equity": equity,
                "usdValue": equity,
                "walletBalance": wallet,
                "locked": "0",
                "spotHedgingQty": "0",
                "borrowAmount": "0",
                "accruedInterest": "0",
                "totalOrderIM": plain(figures.order_initial),
                "totalPositionIM": plain(figures.position_initial),
                "totalPositionMM": maintenance,
                "unrealisedPnl": unrealised,
                "cumRealisedPnl": plain(account.realised - account.fees + account.funding),
                "bonus": "0",
                "collateralSwitch": True,
                "marginCollateral": True,
                "colRes": "0",
                "spotBorrow": "0",
                "free": "",
                "availableToWithdraw": "",
                "availableToBorrow": "",
            }
        ],
    }


def closed_pnl_row(row: ClosedPnl) -> dict[str, Any]:
    order = row.order
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "side": order.side.value,
        "qty": format(order.qty, "f"),
        "orderPrice": format(order.price, "f"),
        "orderType": "Market" if order.is_market else "Limit",
        "execType": row.exec_type,
        "closedSize": format(row.closed_size, "f"),
        "cumEntryValue": plain(row.entry_value),
        "avgEntryPrice": plain(row.entry_value / row.closed_size),
        "cumExitValue": plain(row.exit_value),
        "avgExitPrice": plain(row.exit_value / row.closed_size),
        "closedPnl": plain(row.net),
        "fillCount": str(row.fill_count),
        "leverage": plain(row.leverage),
        "openFee": plain(row.open_fee),
        "closeFee": plain(row.close_fee),
        "createdTime": _ms(row.created_ms),
        "updatedTime": _ms(row.updated_ms),
    }
