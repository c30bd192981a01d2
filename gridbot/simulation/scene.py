"""What a run begins with, drawn from the seed: the account's configuration, the paper exchange's, and the prices."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import with_paper_secrets
from gridbot.paper.server.paper_spec import PaperAccount
from gridbot.paper.settings import PaperConfig
from gridbot.simulation.fault_values import is_latched
from gridbot.simulation.run_faults import Plan

__all__ = ["ACCOUNT", "PRICES", "PriceWalk", "account_of", "exchange_config", "says_realised", "worker_config"]

ACCOUNT = "alice"
SEED = b"the secrets of a run, which nobody but the run can reach"
PRICES = {"BTCUSDT": Decimal(50000), "ETHUSDT": Decimal(2500), "SOLUSDT": Decimal(150)}
TICKS = {"BTCUSDT": Decimal("0.1"), "ETHUSDT": Decimal("0.01"), "SOLUSDT": Decimal("0.01")}
LIMITED_CHANCE = 0.12
"""Of an account with a limit of its session's loss, so low that it is often reached."""
CAPPED_CHANCE = 0.12
"""Of a strategy whose limits are nearly used all the time."""
SHADOW_CHANCE = 0.12
"""Of a shadow strategy, as often alone as beside the live ones."""
BRAKED_CHANCE = 0.15
"""Of an account with a cap on drawdown or margin ratio, so low that it is often reached."""
BRAKES: tuple[dict[str, Any], ...] = (
    {"max_drawdown": "2"},
    {"max_drawdown": "0.05%", "on_breach": "cancel"},
    {"max_margin_ratio": "0.0008"},
    {"max_drawdown": "5", "max_margin_ratio": "0.002"},
)
SHADOW: dict[str, Any] = {
    "strat_id": "sol",
    "account": ACCOUNT,
    "symbol": "SOLUSDT",
    "shadow_mode": True,
    "grid_count": 20,
    "grid_step": 0.1,
    "amount": "q1",
}
AMOUNTS = {"BTCUSDT": ("q0.01", "q0.003", "100"), "ETHUSDT": ("q0.2", "80")}


def worker_config(plan: Plan, data_dir: Path) -> GridbotConfig:
    """One account with a grid on BTCUSDT, in every second run (always when dense) another on ETHUSDT."""
    rng = random.Random(f"scene:{plan.seed}")
    symbols = ["BTCUSDT", "ETHUSDT"] if plan.dense or rng.random() < 0.5 else ["BTCUSDT"]
    strategies: list[dict[str, Any]] = [
        {
            "strat_id": symbol[:3].lower(),
            "account": ACCOUNT,
            "symbol": symbol,
            "grid_count": rng.choice((6, 10, 20)),
            "grid_step": rng.choice((0.1, 0.2, 0.3)),
            "amount": rng.choice(AMOUNTS[symbol]),
        }
        for symbol in symbols
    ]
    drawn = random.Random(f"shadow:{plan.seed}").random()
    if drawn < SHADOW_CHANCE / 2 and not plan.dense:
        strategies = [SHADOW]
    elif drawn < SHADOW_CHANCE:
        strategies.append(SHADOW)
    capped = random.Random(f"caps:{plan.seed}")
    if capped.random() < CAPPED_CHANCE:
        levels = int(strategies[0]["grid_count"])
        strategies[0] = {**strategies[0], "caps": {"max_open_orders": round(levels * capped.choice((0.7, 1.0, 1.2)))}}
    document: dict[str, Any] = {
        "environment": "paper",
        "accounts": [{"name": ACCOUNT, "order_entry": order_entry(plan)}],
        "strategies": strategies,
        "order_sync_interval": rng.choice((15, 30, 61)),
        "position_check_interval": rng.choice((20, 63)),
        "wallet_cache_interval": rng.choice((60, 300)),
        "storage": {"data_dir": str(data_dir), "durability": "process"},
    }
    if strategies == [SHADOW]:
        document["order_sync_interval"] = 61  # the wallet is read seldom
    if rng.random() < LIMITED_CHANCE or is_latched(plan.seed):
        document["accounts"][0]["caps"] = {"session_loss_limit": rng.choice((1, 3, 10))}
    braked = random.Random(f"brakes:{plan.seed}")
    if braked.random() < BRAKED_CHANCE:
        document["accounts"][0].setdefault("caps", {}).update(braked.choice(BRAKES))
    return with_paper_secrets(GridbotConfig.model_validate(document), SEED)


def order_entry(plan: Plan) -> str:
    """How orders are sent."""
    return random.Random(f"entry:{plan.seed}").choice(("http", "http", "auto", "auto", "websocket"))


def account_of(config: GridbotConfig) -> PaperAccount:
    """The account as the exchange has it."""
    account = config.account(ACCOUNT)
    return PaperAccount(account.name, account.api_key.get_secret_value(), account.api_secret.get_secret_value())


def exchange_config(plan: Plan) -> PaperConfig:
    """A market that stands still until the run moves it; Bybit's limits."""
    rng = random.Random(f"exchange:{plan.seed}")
    return PaperConfig.model_validate(
        {
            "ticker_interval_ms": 0,
            "fault_seed": plan.seed,
            "ack_delay_ms": 1,
            "matching": rng.choice(("touch", "touch", "queue")),
            "query_lag_ms": rng.choice((0, 0, 0, 200)),
            "market": {
                "source": "manual",
                "symbols": {symbol: {"price": str(price)} for symbol, price in PRICES.items()},
            },
        }
    )


def says_realised(plan: Plan) -> bool:
    """Whether the exchange says what each execution realised; where it does not, the worker's own figure must do."""
    return random.Random(f"figures:{plan.seed}").random() < 0.5


class PriceWalk:
    """Prices that wander around where they began, about one step a second."""

    def __init__(self, plan: Plan) -> None:
        self._draw = random.Random(f"prices:{plan.seed}")
        self._per_step = self._draw.choice((0.0003, 0.0006, 0.001)) * (2.0 if plan.dense else 1.0)
        self._away = dict.fromkeys(PRICES, 0.0)
        """Logarithm of the price over its beginning."""

    def next(self, symbol: str) -> Decimal:
        """The next price of a symbol, on a tick."""
        away = self._away[symbol]
        self._away[symbol] = away * 0.995 + self._draw.gauss(0.0, self._per_step)
        return self.price(symbol)

    def jump(self, symbol: str, move: float) -> Decimal:
        """The price `move` (a fraction) away from where it is; it stays there."""
        self._away[symbol] += move
        return self.price(symbol)

    def price(self, symbol: str, move: float = 0.0) -> Decimal:
        """The price now, or as it would be a fraction away."""
        exact = float(PRICES[symbol]) * math.exp(self._away[symbol] + move)
        tick = TICKS[symbol]
        return (Decimal(repr(round(exact, 8))) / tick).quantize(Decimal(1)) * tick

    def step_s(self) -> float:
        """Seconds to the next step."""
        return self._draw.uniform(0.7, 1.3)
