"""Instruments shipped with the package, composed by us at the scale of the real contracts.

Tick sizes, steps and tiers are those a grid meets in practice; maxima are round. None of it is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gridbot.core.instrument import Instrument, RiskTier
from gridbot.paper.settings import InstrumentConfig

__all__ = [
    "AUCTION_PHASES",
    "LISTINGS",
    "PRE_LAUNCH",
    "TRADES_IN",
    "Listing",
    "Phase",
    "listing_of",
    "listing_under",
    "listings",
]

PRE_LAUNCH = "PreLaunch"
TRADES_IN = "ContinuousTrading"
"""The phase of a contract that is not launched yet, and in which it trades all the same."""
AUCTION_PHASES = ("NotStarted", "CallAuction", "CallAuctionNoCancel", "CrossMatching", TRADES_IN)
OVER = frozenset({"Settling", "Delivering", "Closed"})
COLLECTING = frozenset({"CallAuction", "CallAuctionNoCancel"})


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase before the launch, ms UTC; `end_ms` 0: until somebody says so."""

    name: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument with what only the exchange needs to know about it. Prices in USDT, quantities in base coin.

    `auction_phase` matters only while its status is PreLaunch; `phases` are those that follow each other by themselves.
    A contract that is delisted is Settling for `settling_ms`; `delivery_price` is set at its delivery time. `no_qty` is
    how rows write a quantity of 0: with the decimals of the quantity step.
    """

    instrument: Instrument
    symbol_id: int
    base_coin: str
    default_price: Decimal
    max_market_qty: Decimal
    launch_ms: int
    price_limit_x: Decimal = Decimal("0.05")
    price_limit_y: Decimal = Decimal("0.1")
    funding_cap: Decimal = Decimal("0.005")
    auction_phase: str = "NotStarted"
    phases: tuple[Phase, ...] = ()
    settling_ms: int = 0
    delivery_price: Decimal | None = None
    no_qty: str = field(init=False, compare=False)
    symbol: str = field(init=False, compare=False)
    phase: str = field(init=False, compare=False)
    """The phase before the launch; empty when it is launched."""
    is_collecting: bool = field(init=False, compare=False)
    """True in a call auction: orders rest, and none is filled."""
    is_over: bool = field(init=False, compare=False)
    """True from its delivery time on: nothing trades, and the book is empty."""
    matches: bool = field(init=False, compare=False)
    """False while nothing is filled because it is before the launch."""

    def __post_init__(self) -> None:
        put, instrument = object.__setattr__, self.instrument
        phase = self.auction_phase if instrument.status == PRE_LAUNCH else ""
        put(self, "no_qty", format(instrument.qty_step * 0, "f"))
        put(self, "symbol", instrument.symbol)
        put(self, "phase", phase)
        put(self, "is_collecting", phase in COLLECTING)
        put(self, "is_over", instrument.status in OVER)
        put(self, "matches", phase in ("", TRADES_IN))

    def max_qty(self, *, market: bool) -> Decimal:
        """Biggest quantity of one order."""
        return self.max_market_qty if market else self.instrument.max_order_qty

    @property
    def price_scale(self) -> int:
        """Decimals of the tick size."""
        return max(0, -int(self.instrument.tick_size.as_tuple().exponent))


def _tiers(first_limit: Decimal, base: Decimal) -> tuple[RiskTier, ...]:
    """Twelve tiers in equal steps of position value. Deductions keep the maintenance margin continuous."""
    tiers: list[RiskTier] = []
    deduction = Decimal(0)
    for number in range(1, 13):
        rate = base * number
        if tiers:
            deduction += tiers[-1].limit * (rate - tiers[-1].mm_rate)
        initial = rate * 2
        leverage = (1 / initial).quantize(Decimal("0.01"))
        tiers.append(
            RiskTier(
                limit=first_limit * number,
                mm_rate=rate,
                im_rate=initial,
                mm_deduction=deduction,
                max_leverage=leverage,
            )
        )
    return tuple(tiers)


def _listing(
    symbol: str,
    symbol_id: int,
    *,
    tick: str,
    step: str,
    max_qty: int,
    max_market_qty: int,
    price: str,
    tier: int,
    mm: str,
    launch_ms: int,
    band: tuple[str, str] = ("0.05", "0.1"),
) -> Listing:
    tick_size, qty_step, tiers = Decimal(tick), Decimal(step), _tiers(Decimal(tier), Decimal(mm))
    return Listing(
        instrument=Instrument(
            symbol=symbol,
            tick_size=tick_size,
            qty_step=qty_step,
            min_order_qty=qty_step,
            max_order_qty=Decimal(max_qty),
            min_notional=Decimal(5),
            min_price=tick_size,
            max_price=tick_size * 19_999_998,
            max_leverage=tiers[0].max_leverage,
            tiers=tiers,
        ),
        symbol_id=symbol_id,
        base_coin=symbol.removesuffix("USDT"),
        default_price=Decimal(price),
        max_market_qty=Decimal(max_market_qty),
        launch_ms=launch_ms,
        price_limit_x=Decimal(band[0]),
        price_limit_y=Decimal(band[1]),
    )


def listing_of(symbol: str, config: InstrumentConfig, symbol_id: int) -> Listing:
    """A listing from the configuration."""
    tiers = _tiers(config.tier_limit, config.mm_rate)
    return Listing(
        instrument=Instrument(
            symbol=symbol,
            tick_size=config.tick_size,
            qty_step=config.qty_step,
            min_order_qty=config.qty_step,
            max_order_qty=config.max_order_qty,
            min_notional=config.min_notional,
            min_price=config.tick_size,
            max_price=config.tick_size * 19_999_998,
            max_leverage=tiers[0].max_leverage,
            tiers=tiers,
        ),
        symbol_id=symbol_id,
        base_coin=symbol.removesuffix("USDT"),
        default_price=config.price,
        max_market_qty=config.max_order_qty,
        launch_ms=1_577_836_800_000,
    )


def listing_under(instrument: Instrument, price: Decimal) -> Listing:
    """A listing under given rules; what they leave open is as of the shipped contract, or usual."""
    shipped = LISTINGS.get(instrument.symbol)
    tiers = instrument.tiers or (shipped.instrument.tiers if shipped else _tiers(Decimal(200_000), Decimal("0.01")))
    band_x, band_y = (shipped.price_limit_x, shipped.price_limit_y) if shipped else (Decimal("0.05"), Decimal("0.1"))
    return Listing(
        instrument=replace(instrument, tiers=tiers),
        symbol_id=shipped.symbol_id if shipped else 5000,
        base_coin=instrument.symbol.removesuffix("USDT"),
        default_price=price,
        max_market_qty=instrument.max_order_qty,
        launch_ms=1_577_836_800_000,
        price_limit_x=band_x if instrument.price_limit_x is None else instrument.price_limit_x,
        price_limit_y=band_y if instrument.price_limit_y is None else instrument.price_limit_y,
    )


def listings(extra: Mapping[str, InstrumentConfig]) -> dict[str, Listing]:
    """Shipped listings, overridden by those of the configuration."""
    own = {symbol: listing_of(symbol, entry, 5000 + number) for number, (symbol, entry) in enumerate(extra.items())}
    return LISTINGS | own


_ALL = (
    _listing(
        "BTCUSDT",
        5,
        tick="0.10",
        step="0.001",
        max_qty=1190,
        max_market_qty=500,
        price="60000.00",
        tier=2_000_000,
        mm="0.005",
        launch_ms=1_584_230_400_000,
        band=("0.01", "0.02"),
    ),
    _listing(
        "ETHUSDT",
        6,
        tick="0.01",
        step="0.01",
        max_qty=8000,
        max_market_qty=2000,
        price="2500.00",
        tier=900_000,
        mm="0.005",
        launch_ms=1_615_766_400_000,
        band=("0.02", "0.04"),
    ),
    _listing(
        "SOLUSDT",
        41,
        tick="0.010",
        step="0.1",
        max_qty=80000,
        max_market_qty=16000,
        price="150.000",
        tier=300_000,
        mm="0.005",
        launch_ms=1_634_256_000_000,
    ),
    _listing(
        "LTCUSDT",
        13,
        tick="0.01",
        step="0.1",
        max_qty=60000,
        max_market_qty=12000,
        price="85.00",
        tier=200_000,
        mm="0.01",
        launch_ms=1_617_235_200_000,
    ),
    _listing(
        "DOGEUSDT",
        22,
        tick="0.00001",
        step="1",
        max_qty=14_000_000,
        max_market_qty=2_800_000,
        price="0.20000",
        tier=200_000,
        mm="0.01",
        launch_ms=1_622_505_600_000,
    ),
    _listing(
        "XRPUSDT",
        10,
        tick="0.0001",
        step="0.1",
        max_qty=2_400_000,
        max_market_qty=480_000,
        price="2.2000",
        tier=200_000,
        mm="0.005",
        launch_ms=1_618_790_400_000,
    ),
)

LISTINGS: dict[str, Listing] = {listing.symbol: listing for listing in _ALL}
