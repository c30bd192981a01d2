"""A strategy beside its symbol: state, rules, mode, leverage, fees, sizes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from gridbot.core.instrument import Instrument
from gridbot.doctor.doctor_facts import Unread
from gridbot.doctor.findings import Finding, Verdict
from gridbot.exchange.examined import SymbolTerms
from gridbot.exchange.requests import FeeRate
from gridbot.risk.symbol_state import SymbolWord, symbol_state

if TYPE_CHECKING:
    from gridbot.config.account_models import StrategyConfig
    from gridbot.config.ladder_report import LadderReport

__all__ = [
    "fee_finding",
    "instrument_finding",
    "leverage_finding",
    "most_value",
    "narrowest_step",
    "position_mode_finding",
    "risk_limit_finding",
    "size_finding",
]

ZERO: Final = Decimal(0)
BPS: Final = Decimal(10_000)
HUNDREDTH_BPS: Final = Decimal("0.000001")
ROUNDED_UP_MUCH: Final = Decimal("1.1")
OK, WARNING, REFUSED = Verdict.OK, Verdict.WARNING, Verdict.REFUSED


def instrument_finding(about: str, strategy: StrategyConfig, instrument: Instrument | Unread, now_ms: int) -> Finding:
    """`instrument`."""
    if isinstance(instrument, Unread):
        if not instrument.is_absent:
            return Finding("instrument", WARNING, f"{strategy.symbol} is not known: {instrument.text}", about)
        text = f"expected to trade {strategy.symbol}, got: {instrument.text}; correct the symbol"
        return Finding("instrument", REFUSED, text, about)
    state = symbol_state(instrument, now_ms)
    rules = (
        f"{instrument.symbol} {instrument.status}, tick {instrument.tick_size:f}, step {instrument.qty_step:f}, "
        f"smallest order {instrument.min_order_qty:f} and {instrument.min_notional:f} USDT"
    )
    if state.word is SymbolWord.DELISTED:
        return Finding("instrument", REFUSED, state.text, about)
    if strategy.tick_size is not None and strategy.tick_size != instrument.tick_size:
        text = (
            f"expected tick_size {strategy.tick_size} for {instrument.symbol} as configured, the exchange has "
            f"{instrument.tick_size}; correct it or leave the key out"
        )
        return Finding("instrument", REFUSED, text, about)
    return Finding("instrument", WARNING if state.text else OK, state.text or rules, about)


def position_mode_finding(
    about: str, symbol: str, terms: SymbolTerms | Unread, *, is_used: bool, is_shadow: bool
) -> Finding:
    """`position_mode`. `is_used`: it has a position or orders, which keep the mode from being switched."""
    if isinstance(terms, Unread):
        return Finding("position_mode", WARNING, f"not known: {terms.text}", about)
    if terms.hedge is None:
        return Finding("position_mode", WARNING, f"the exchange does not tell the mode of {symbol}", about)
    if terms.hedge:
        return Finding("position_mode", OK, "hedge mode", about)
    if is_shadow:
        return Finding("position_mode", OK, "one-way; a shadow strategy sends nothing", about)
    if is_used:
        text = (
            f"expected {symbol} in hedge mode, it is one-way and has a position or orders, so it cannot be switched; "
            "close its position and orders"
        )
        return Finding("position_mode", REFUSED, text, about)
    return Finding("position_mode", OK, "one-way now; the start switches it to hedge mode", about)


def leverage_finding(
    about: str, wanted: Decimal | None, terms: SymbolTerms | Unread, instrument: Instrument | Unread
) -> Finding:
    """`leverage`."""
    most = instrument.max_leverage if isinstance(instrument, Instrument) else None
    if wanted is not None and most is not None and wanted > most:
        text = f"expected at most {most:f}x, which the symbol may have, got {wanted:f}x; lower `leverage`"
        return Finding("leverage", REFUSED, text, about)
    now = None if isinstance(terms, Unread) else terms.leverage
    if now is None:
        why = terms.text if isinstance(terms, Unread) else "the exchange does not tell"
        if wanted is not None:
            return Finding("leverage", OK, f"the start sets {wanted:f}x", about)
        return Finding("leverage", WARNING, f"not known: {why}", about)
    if wanted is None or wanted == now:
        kept = "; the file names none, so it stays" if wanted is None else ""
        return Finding("leverage", OK, f"{now.normalize():f}x{kept}", about)
    return Finding("leverage", OK, f"{now.normalize():f}x now; the start sets {wanted:f}x", about)


def most_value(instrument: Instrument, leverage: Decimal) -> Decimal | None:
    """The largest position value (USDT) that the risk tiers give to this leverage; None without tiers."""
    fitting = [tier.limit for tier in instrument.tiers if tier.max_leverage >= leverage]
    return max(fitting, default=ZERO) if instrument.tiers else None


def risk_limit_finding(
    about: str, instrument: Instrument | Unread, leverage: Decimal | None, value: Decimal
) -> Finding:
    """`risk_limit`. `value` is what the larger leg is worth when the ladder is full (USDT)."""
    if isinstance(instrument, Unread) or leverage is None:
        return Finding("risk_limit", WARNING, "not known: neither tiers nor leverage are", about)
    most = most_value(instrument, leverage)
    if most is None:
        return Finding("risk_limit", WARNING, "not known: the exchange told no risk tiers", about)
    text = f"the full ladder is worth {value:.0f} USDT; {leverage.normalize():f}x may have {most:.0f} USDT"
    if value > most:
        text += "; the exchange refuses the rest (110016): lower amount, grid_count or leverage"
        return Finding("risk_limit", WARNING, text, about)
    return Finding("risk_limit", OK, text, about)


def narrowest_step(prices: Sequence[Decimal]) -> Decimal | None:
    """The smallest distance of two neighbouring levels as a part of the lower one's price; None with fewer than two."""
    ordered = sorted(set(prices))
    return min((high / low - 1 for low, high in pairwise(ordered)), default=None)


def fee_finding(about: str, fees: FeeRate | Unread, step: Decimal | None, *, is_usual: bool = False) -> Finding:
    """`fees`. `step` is that of `narrowest_step`; `is_usual`: the exchange told none, these are Bybit's usual ones."""
    if isinstance(fees, Unread):
        return Finding("fees", WARNING, f"not known: {fees.text}", about)
    rates = f"maker {_bps(fees.maker)}, taker {_bps(fees.taker)} bps{' (usual; not told)' if is_usual else ''}"
    if step is None:
        return Finding("fees", OK, f"{rates}; fewer than two levels to compare", about)
    maker, taker = (step - (2 + step) * fees.maker, step - fees.maker - (1 + step) * fees.taker)
    earns = f"{_bps(_floor(maker))} bps with two maker fees, {_bps(_floor(taker))} with one taker fee"
    text = f"a step of {_bps(step)} bps earns {earns}; {rates}"
    if maker < 0:
        return Finding("fees", REFUSED, f"{text}; every pair of fills loses: raise grid_step", about)
    if maker == 0 or taker < 0:
        return Finding("fees", WARNING, f"{text}; raise grid_step", about)
    return Finding("fees", OK, text, about)


def _floor(part: Decimal) -> Decimal:
    """To hundredths of a basis point, never upwards: a loss is not shown as nothing."""
    return part.quantize(HUNDREDTH_BPS, ROUND_FLOOR)


def _bps(part: Decimal) -> str:
    return f"{part * BPS:.2f}".rstrip("0").rstrip(".") or "0"


def size_finding(about: str, report: LadderReport, instrument: Instrument | Unread) -> Finding:
    """`sizes`, level by level."""
    if report.problem:
        return Finding("sizes", REFUSED, report.problem, about)
    rows = [row for row in report.rows if row.size is not None and row.price is not None]
    if not rows or isinstance(instrument, Unread):
        return Finding("sizes", WARNING, f"not known: {'; '.join(report.notes) or 'no level has a size'}", about)
    none = [row for row in rows if not row.size]
    sized = [row.size for row in rows if row.size]
    least = f"{instrument.min_order_qty:f} {_coin(instrument)} and {instrument.min_notional:f} USDT"
    if not sized:
        text = f"all {len(rows)} levels are below the smallest order ({least}): raise amount, or add funds"
        return Finding("sizes", REFUSED, text, about)
    sizes = f"{min(sized):f}" if min(sized) == max(sized) else f"{min(sized):f} to {max(sized):f}"
    text = f"{len(sized)} levels of {sizes} {_coin(instrument)}; smallest order {least}"
    most = instrument.round_qty_down(instrument.max_order_qty)
    wrong = []
    if none:
        at = ", ".join(f"{row.price:f}" for row in none[:3])
        wrong.append(f"{len(none)} below it, without an order (at {at}{', ...' if len(none) > 3 else ''})")
    raised = [row for row in rows if row.size and row.wanted and (row.notional or ZERO) > row.wanted * ROUNDED_UP_MUCH]
    if raised:
        row = raised[0]
        wrong.append(
            f"{len(raised)} rounded up by over 10 % (at {row.price:f} from {row.wanted:.2f} to {row.notional:.2f} USDT)"
        )
    cut = [row for row in rows if row.size == most and row.wanted and (row.notional or ZERO) < row.wanted]
    if cut:
        wrong.append(f"{len(cut)} cut to the largest order, {most:f} {_coin(instrument)}")
    if wrong:
        return Finding("sizes", WARNING, f"{text}; {'; '.join(wrong)}: look at amount", about)
    return Finding("sizes", OK, text, about)


def _coin(instrument: Instrument) -> str:
    return instrument.symbol.removesuffix("USDT")
