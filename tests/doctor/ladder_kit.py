"""A symbol, a configuration and a look at a finding, for the tests of `doctor`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.core import Instrument
from gridbot.core.instrument import RiskTier
from gridbot.doctor.doctor_facts import Unread
from gridbot.doctor.findings import Finding, Verdict

D = Decimal
OK, WARNING, REFUSED = Verdict.OK, Verdict.WARNING, Verdict.REFUSED
TIERS = (
    RiskTier(D(1000), D("0.01"), D("0.02"), D(0), D(50)),
    RiskTier(D(100_000), D("0.02"), D("0.04"), D(10), D(25)),
)
BTC = Instrument("BTCUSDT", D("0.1"), D("0.001"), D("0.001"), D(10), max_leverage=D(50), tiers=TIERS)
UNREAD = Unread("no answer")
NOW = 1_700_000_000_000
DAY = 24 * 3_600_000


def config(environment: str = "testnet", **strategy: Any) -> GridbotConfig:
    grid = {
        "strat_id": "btc",
        "account": "alice",
        "symbol": "BTCUSDT",
        "amount": "q0.1",
        "grid_count": 4,
        "grid_step": 1,
    }
    account = {"name": "alice", "environment": environment, "api_key": "k" * 18, "api_secret": "s" * 36}
    return GridbotConfig.model_validate({"accounts": [account], "strategies": [grid | strategy]})


def has(found: Finding, verdict: Verdict, text: str) -> None:
    assert (found.verdict, text in found.text) == (verdict, True), found
