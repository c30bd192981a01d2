"""The section `fleet` of `gridbot.yaml`: caps for all accounts, and for groups of them.

A cap holds for each environment by itself: paper, testnet, demo and real money are never added up.
"""

from __future__ import annotations

from pydantic import Field

from gridbot.config.fields import Cap, Drawdown, Model, Name
from gridbot.core.limits import OnBreach

__all__ = ["FleetCaps", "FleetConfig", "GroupConfig"]


class FleetCaps(Model):
    """Limits of several accounts together, for each environment by itself."""

    max_notional: Cap = Field(
        None, description="Position values of all with resting opens: USDT, x-multiple of their wallets, or off."
    )
    max_drawdown: Drawdown = Field(
        None, description="Fall of the summed equity from its peak that latches all: USDT, 20% of the peak, or off."
    )
    session_loss_limit: Cap = Field(
        None,
        description="Summed loss since each was resumed last that latches all: USDT, x-fraction of the wallets, off.",
    )
    session_loss_includes_unrealised: bool = Field(
        False, description="Count unrealised losses too, not only executions and fees."
    )
    on_breach: OnBreach = Field(
        OnBreach.REDUCE,
        description="What a latch does to each account until it is resumed: reduce (closes only), cancel (nothing), or "
        "flatten (close all).",
    )

    @property
    def is_set(self) -> bool:
        """Whether there is any cap."""
        return any(cap is not None for cap in (self.max_notional, self.max_drawdown, self.session_loss_limit))


class GroupConfig(Model):
    """What accounts with one label share."""

    caps: FleetCaps = Field(default_factory=FleetCaps, description="Limits of the accounts that have this label.")


class FleetConfig(Model):
    """What all accounts share."""

    caps: FleetCaps = Field(default_factory=FleetCaps, description="Limits of all accounts together.")
    groups: dict[Name, GroupConfig] = Field(
        default_factory=dict, description="By label: what the accounts share that have it in `groups`."
    )
