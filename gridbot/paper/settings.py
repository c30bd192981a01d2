"""The `paper` section of the configuration. Importing this pulls in no server code."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from gridbot.doors.strict_model import StrictModel
from gridbot.paper.faults.fault_config import FaultConfig

__all__ = [
    "AtEnd",
    "CancelFirst",
    "InstrumentConfig",
    "KeyConfig",
    "MarketConfig",
    "MatchingModel",
    "PaperConfig",
    "PositionMode",
    "PriceMove",
    "RateLimitConfig",
    "Scenario",
    "SourceKind",
    "SymbolConfig",
]

Positive = Annotated[Decimal, Field(gt=0)]
NotNegative = Annotated[Decimal, Field(ge=0)]


class SourceKind(StrEnum):
    """Where the market's trades come from."""

    SYNTHETIC = "synthetic"
    REPLAY = "replay"
    MANUAL = "manual"
    LIVE = "live"


class AtEnd(StrEnum):
    """What a replay does after its last trade: keep the last price, begin again, or end the exchange."""

    HOLD = "hold"
    LOOP = "loop"
    STOP = "stop"


class MatchingModel(StrEnum):
    """What a trade at the price of a resting order means; one through its price fills it whole in any case.

    `queue`: volume beyond what stood before it fills it, in parts. `touch`: it fills whole (optimistic). `through`:
    nothing (pessimistic). Exactly in docs/paper.md.
    """

    QUEUE = "queue"
    TOUCH = "touch"
    THROUGH = "through"


class PositionMode(StrEnum):
    """Mode of a symbol until the account switches it. Bybit's own default is one-way."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class CancelFirst(StrEnum):
    """Which resting closing order goes first when the position no longer covers them; Bybit does not say."""

    FARTHEST = "farthest"
    NEAREST = "nearest"
    NEWEST = "newest"
    OLDEST = "oldest"


class _Model(StrictModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Scenario(StrEnum):
    """Ready-made behaviours of the synthetic market; a symbol's own fields overrule them.

    `lively`: waves for demonstrations. `calm`: a slow random walk. `trend`: calm, and rising 0.02 % a second. `crash`:
    calm, at 30 s it loses 10 % in 20 s, then wins 5 % back within a minute. `squeeze`: the same upwards. `gap`: calm,
    at 30 s the price is 3 % lower without a trade between.
    """

    LIVELY = "lively"
    CALM = "calm"
    TREND = "trend"
    CRASH = "crash"
    SQUEEZE = "squeeze"
    GAP = "gap"


class PriceMove(_Model):
    """One scripted move of the centre price: `move` as a fraction, spread evenly over `over_s`; 0 is a gap."""

    at_s: float = Field(ge=0, description="Source seconds after the start.")
    move: float = Field(gt=-1, description="Fraction of the price: -0.1 is ten percent down.")
    over_s: float = Field(0.0, ge=0, description="Source seconds it takes.")


class InstrumentConfig(_Model):
    """An instrument that the package does not ship."""

    price: Positive = Field(description="USDT, where a synthetic or manual market begins.")
    tick_size: Positive = Field(description="USDT.")
    qty_step: Positive = Field(description="Base coin; the smallest quantity as well.")
    max_order_qty: Positive = Field(Decimal(1_000_000), description="Base coin.")
    min_notional: Positive = Field(Decimal(5), description="USDT.")
    mm_rate: Positive = Field(Decimal("0.01"), description="Maintenance margin rate of the first risk tier.")
    tier_limit: Positive = Field(Decimal(200_000), description="Value in USDT that the first risk tier holds.")


class SymbolConfig(_Model):
    """One symbol of the synthetic market; the defaults are lively enough for a grid of 0.1-0.2 % steps."""

    price: Positive | None = Field(None, description="Centre price in USDT; default: of the shipped instrument.")
    volatility: NotNegative = Field(
        Decimal("0.0004"), description="Random part: fraction of price per square root second."
    )
    mean_reversion: NotNegative = Field(
        Decimal("0.1"), description="Pull of the random part to the centre, per second."
    )
    swing: NotNegative = Field(
        Decimal("0.004"), description="Amplitude of the regular wave, fraction of price; 0 is none."
    )
    swing_period_s: Positive = Field(Decimal(5), description="Length of one wave in seconds of source time.")
    trend: Decimal = Field(Decimal(0), description="Drift of the centre, fraction of price per second.")
    moves: tuple[PriceMove, ...] = Field((), description="Scripted moves of the centre.")
    trades_per_second: Positive = Field(Decimal(20), description="Public trades per second of source time.")
    trade_notional: Positive = Field(Decimal(4000), description="Mean size of one public trade in USDT.")
    level_notional: Positive | None = Field(None, description="Overrides `market.level_notional` for this symbol.")


class MarketConfig(_Model):
    """The market that orders meet."""

    source: SourceKind = Field(
        SourceKind.SYNTHETIC, description="synthetic, replay, manual (tests push the trades), or live."
    )
    scenario: Scenario = Field(Scenario.LIVELY, description="Behaviour of the synthetic market.")
    correlation: float = Field(0.0, ge=0, le=1, description="Of the symbols' random parts.")
    instruments: dict[str, InstrumentConfig] = Field(
        default_factory=dict, description="Further instruments by symbol, or others in place of the shipped ones."
    )
    instruments_from: str | None = Field(
        None,
        description="Instruments and tiers as the exchange publishes them: a REST address such as "
        "https://api.bybit.com, or a file of its answers (docs/paper.md). Default: the shipped ones.",
    )
    seed: int = Field(1, description="Seed of the synthetic market; the same seed gives the same path.")
    speed: NotNegative = Field(
        Decimal(1), description="Source seconds per wall second; 0 is as fast as the listeners read."
    )
    symbols: dict[str, SymbolConfig] = Field(
        default_factory=dict, description="Symbols of the synthetic or manual market; none means all shipped ones."
    )
    files: dict[str, Path] = Field(
        default_factory=dict, description="Replay: symbol to file of Bybit's trade dump layout (.csv or .csv.gz)."
    )
    live_url: str = Field(
        "wss://stream.bybit.com/v5/public/linear", description="Live: public stream whose trades are taken; no keys."
    )
    at_end: AtEnd = Field(AtEnd.HOLD, description="Replay: hold the last price, loop, or stop the exchange.")
    level_notional: Positive = Field(
        Decimal(10000), description="Mean USDT resting at each price of the modelled book (queue and taker fills)."
    )

    mark_halflife_s: NotNegative = Field(
        Decimal(1), description="Half-life of the index behind the mark price, seconds; 0 makes both the last price."
    )
    funding_rate: Decimal = Field(
        Decimal("0.0001"), ge=-1, le=1, description="Rate per interval; positive is paid by longs."
    )
    funding_interval_minutes: int | None = Field(
        None,
        ge=1,
        description="Minutes between fundings, counted from midnight UTC; default: the instrument's.",
    )

    @model_validator(mode="after")
    def _replay_needs_files(self) -> MarketConfig:
        if self.source is SourceKind.REPLAY and not self.files:
            raise ValueError("source 'replay' expects at least one file under 'files' (symbol: path), got none")
        return self


class RateLimitConfig(_Model):
    """Bybit's request limits; 0 switches a limit off (headers are sent all the same)."""

    orders_per_second: int = Field(
        10, ge=0, description="Per account and order endpoint (create, amend, cancel, batch)."
    )
    queries_per_second: int = Field(50, ge=0, description="Per account and signed query endpoint.")
    ip_requests: int = Field(600, ge=0, description="HTTP requests per 5 s from one address, all accounts together.")
    ws_connections: int = Field(500, ge=0, description="New WebSockets per 5 minutes from one address and channel.")
    ws_trade_requests: int = Field(3000, ge=0, description="Requests per second over trade WebSockets of one address.")
    ip_ban_s: float = Field(600, ge=0, description="Seconds of HTTP 403 after the address limit was broken.")


class KeyConfig(_Model):
    """What the key of an account may do, as `user/query-api` tells it and requests are held to it.

    `ips`: "*" is a key that is bound to no address, which Bybit lets expire after three months. Without the field every
    address is served, and the key shows one that is bound.
    """

    read_only: bool = Field(False, description="Only queries are answered; all else is 10005.")
    contract_trade: tuple[Literal["Order", "Position"], ...] = Field(
        ("Order", "Position"), description="What it may do with contracts; orders or positions without it are 10005."
    )
    wallet: tuple[Literal["AccountTransfer", "SubMemberTransfer", "Withdraw"], ...] = Field(
        (), description="What it may do with the wallet. Shown only: nothing leaves a paper account."
    )
    ips: tuple[str, ...] | None = Field(None, description='Addresses it is bound to (others are 10010), or "*".')
    expires_in_days: int | None = Field(
        None, ge=-1, le=90, description="Days from the start until it expires; -1 has expired (33004). Default never."
    )


class PaperConfig(_Model):
    """The embedded paper exchange."""

    host: str = Field("127.0.0.1", description="Address to listen on; leave it on loopback.")
    port: int = Field(0, ge=0, le=65535, description="TCP port for HTTP and WebSocket; 0 takes a free one.")
    default_balance: NotNegative = Field(Decimal(10000), description="USDT of an account that names no balance.")
    maker_fee: Decimal = Field(Decimal("0.0002"), description="Fraction of value; negative is a rebate.")
    taker_fee: Decimal = Field(Decimal("0.00055"), description="Fraction of value.")
    default_leverage: Decimal = Field(Decimal(10), ge=1, description="Leverage of a symbol until the account sets it.")
    position_mode: PositionMode = Field(PositionMode.ONE_WAY, description="Mode of each symbol until switched.")
    matching: MatchingModel = Field(MatchingModel.QUEUE, description="When a resting order fills.")
    reduce_only_cancels: CancelFirst = Field(
        CancelFirst.FARTHEST,
        description="Which resting closing order goes first when a position no longer covers them all.",
    )
    ack_delay_ms: float = Field(3, ge=0, description="From answering a request to pushing its result on the streams.")
    subscribe_delay_ms: float = Field(10, ge=0, description="Before WebSocket acknowledgements; pybit needs 5 or more.")
    ticker_interval_ms: float = Field(100, ge=0, description="Tickers coalesce for this long; 0 pushes each change.")
    link_id_retention_s: float = Field(7200, ge=0, description="How long a closed order's orderLinkId stays taken.")
    limits: RateLimitConfig = Field(default_factory=RateLimitConfig, description="Request limits.")
    market: MarketConfig = Field(default_factory=MarketConfig, description="Where prices come from.")
    state_file: Path | None = Field(
        None, description="Accounts, orders and executions survive a restart and kill -9 here; none: they end with it."
    )
    state_interval_s: float = Field(
        10.0, gt=0, description="How often to look whether the journal beside the state file is long, to fold it in."
    )
    dcp: bool = Field(False, description="Disconnect-cancel-all for everybody; on Bybit institutions only have it.")
    query_lag_ms: float = Field(0, ge=0, description="Order listings show an order only this long after the request.")
    control: bool = Field(
        False, description="Answer POST /paper/control (faults, prices) from loopback addresses, with the token."
    )
    fault_seed: int = Field(1, description="Seed of the faults' draws, and of what Bybit leaves to chance.")
    keys: dict[str, KeyConfig] = Field(
        default_factory=dict, description="What the keys of accounts may do, by account; default: orders and positions."
    )
    faults: tuple[FaultConfig, ...] = Field((), description="Faults to inject; see docs/paper.md.")
