"""Which exchange an account trades on. Importable without pybit, for the configuration."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Environment"]


class Environment(StrEnum):
    """Which exchange an account trades on. A key belongs to exactly one of them (anywhere else it is 10003)."""

    PAPER = "paper"
    TESTNET = "testnet"
    DEMO = "demo"
    MAINNET = "mainnet"
