"""Rows of positions and wallets as Bybit sends them. Pure.

Field sets follow docs/bybit.md 2.7 (names), 2.5 and 2.6 (meaning); `stream=True` gives the stream's names where they
differ. Numbers are text, unknown ones are the empty string.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridbot.core.margin import LEAST_RESERVE_FEE, tier_for
from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.row_numbers import cut, plain
from gridbot.paper.worth.valuation import Totals, Valuation

__all__ = ["liquidation_text", "position_row", "wallet_row"]

ZERO = Decimal(0)
NOT_USED: dict[str, Any] = {
    "tradeMode": 0,
    "tpslMode": "Full",
    "mmrSysUpdatedTime": "",
    "leverageSysUpdatedTime": "",
    "sessionAvgPrice": "",
    "netDeltaRatio": "",
}
"""Fields of a position that are the same in every row."""


def _price(price: Decimal | None, market: SymbolMarket) -> str:
    """Empty when it lies outside the prices that the instrument can have; not rounded to its tick."""
    instrument = market.instrument
    if price is None or not instrument.min_price < price < instrument.max_price:
        return ""
    return plain(price)


def liquidation_text(account: Account, leg: Leg, valuation: Valuation, figures: Totals) -> str:
    """`liqPrice` of a leg that holds something."""
    return _price(valuation.liquidation_price(account, leg, figures), valuation.markets[leg.symbol])


def position_row(
    account: Account, leg: Leg, valuation: Valuation, figures: Totals, *, stream: bool = False
) -> dict[str, Any]:
    """A row of position/list or of the position topic, with the account's present figures.

    A flat leg has an empty side; on the stream it has no margins and `"0"` as its liquidation price, as captured.
    """
    held = bool(leg.size)
    market, margin = valuation.markets[leg.symbol], figures.margin_of(leg)
    tier = tier_for(market.instrument.tiers, leg.cost)
    initial, maintenance = plain(margin.initial), plain(margin.maintenance)
    no_price = "0" if stream else ""
    if stream and not held:
        initial = maintenance = ""
    row: dict[str, Any] = NOT_USED | {
        "positionIdx": leg.position_idx,
        "riskId": market.listing.symbol_id * 10 + market.instrument.tiers.index(tier) + 1,
        "riskLimitValue": plain(tier.limit),
        "symbol": leg.symbol,
        "side": leg.direction.open_side.value if held else "",
        "size": format(leg.size, "f") if held else "0",
        "entryPrice" if stream else "avgPrice": plain(leg.entry),
        "positionValue": plain(leg.cost) if held else ("0" if stream else ""),
        "positionStatus": leg.status,
        "isReduceOnly": leg.reduce_only,
        "adlRankIndicator": 2 if held else 0,
        "leverage": plain(valuation.leverage(account, leg.symbol, leg.direction)),
        "autoAddMargin": int(leg.auto_add),
        "positionBalance": initial if held and account.isolated else "0",
        "breakEvenPrice": _break_even(leg, valuation.taker_fee) if held else no_price,
        "markPrice": format(market.mark, "f"),
        "liqPrice": liquidation_text(account, leg, valuation, figures) if held else no_price,
        "bustPrice": _price(valuation.bankruptcy_price(account, leg), market) if held else "",
        "positionMM": maintenance,
        "positionMMByMp": maintenance,
        "positionIM": initial,
        "positionIMByMp": initial,
        "takeProfit": no_price if leg.take_profit is None else format(leg.take_profit, "f"),
        "stopLoss": no_price if leg.stop_loss is None else format(leg.stop_loss, "f"),
        "trailingStop": "0" if leg.trailing_stop is None else format(leg.trailing_stop, "f"),
        "unrealisedPnl": plain(leg.unrealised(market.mark)) if held else no_price,
        "curRealisedPnl": plain(leg.current_realised),
        "cumRealisedPnl": plain(leg.total_realised),
        "seq": account.seq_of(leg),
        "openTime": leg.opened_ms,
        "createdTime": str(leg.created_ms),
        "updatedTime": str(leg.updated_ms),
    }
    if stream:
        row["category"] = "linear"
    return row


def _break_even(leg: Leg, taker_fee: Decimal) -> str:
    """Price at which closing the holding brings back what it cost, fees included (docs/bybit_streams.md 6.1)."""
    sign = 1 if leg.direction is Direction.LONG else -1
    spent = leg.cost * sign - leg.current_realised
    return plain(spent / (leg.size * sign - leg.size * max(taker_fee, LEAST_RESERVE_FEE)))


def _rate(part: Decimal, whole: Decimal) -> str:
    return cut(part / whole, 4) if whole > 0 else ""


ACCOUNT_WIDE = (
    "accountIMRate accountIMRateByMp accountMMRate accountMMRateByMp totalMarginBalance totalAvailableBalance "
    "totalInitialMargin totalInitialMarginByMp totalMaintenanceMargin totalMaintenanceMarginByMp accountLTV"
)
IN_ISOLATED = dict.fromkeys(ACCOUNT_WIDE.split(), "")
"""Figures of a whole account do not exist in isolated margin (docs/bybit.md 2.5)."""


UNCHANGING: dict[str, Any] = {
    "coin": "USDT",
    "locked": "0",
    "spotHedgingQty": "0",
    "borrowAmount": "0",
    "accruedInterest": "0",
    "bonus": "0",
    "collateralSwitch": True,
    "marginCollateral": True,
    "colRes": "0",
    "spotBorrow": "0",
    "free": "",
    "availableToWithdraw": "",
    "availableToBorrow": "",
}
"""Fields of a coin that are the same in every row."""


def wallet_row(account: Account, figures: Totals) -> dict[str, Any]:
    """The only row of wallet-balance and of the wallet topic. USDT counts as one USD."""
    holdings, balance = figures.holdings, figures.equity
    equity, wallet, unrealised = plain(balance), plain(figures.wallet), plain(holdings.unrealised)
    initial, maintenance = figures.initial, figures.maintenance
    initial_rate, maintenance_rate = _rate(initial, balance), _rate(maintenance, balance)
    initial_text, maintenance_text = plain(initial), plain(maintenance)
    row = {
        "accountType": "UNIFIED",
        "accountIMRate": initial_rate,
        "accountIMRateByMp": initial_rate,
        "accountMMRate": maintenance_rate,
        "accountMMRateByMp": maintenance_rate,
        "totalEquity": equity,
        "totalWalletBalance": wallet,
        "totalMarginBalance": equity,
        "totalAvailableBalance": plain(max(ZERO, balance - initial)),
        "totalPerpUPL": unrealised,
        "totalInitialMargin": initial_text,
        "totalInitialMarginByMp": initial_text,
        "totalMaintenanceMargin": maintenance_text,
        "totalMaintenanceMarginByMp": maintenance_text,
        "accountLTV": "0",
        "coin": [
            UNCHANGING
            | {
                "equity": equity,
                "usdValue": equity,
                "walletBalance": wallet,
                "totalOrderIM": plain(figures.order_initial),
                "totalPositionIM": plain(holdings.initial),
                "totalPositionMM": plain(holdings.maintenance),
                "unrealisedPnl": unrealised,
                "cumRealisedPnl": plain(account.realised - account.fees + account.funding),
            }
        ],
    }
    return row | IN_ISOLATED if figures.isolated else row
