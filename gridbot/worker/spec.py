"""What a worker is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gridbot.config.models import GridbotConfig
from gridbot.lease.lease_term import LeaseTerm

__all__ = ["KNOWN", "WorkerSpec"]

KNOWN: Final = "known"
"""What the document of `WorkerSpec.known` is called on its way to the supervisor and back."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One account's share of the configuration. Goes to the child through a pipe, never through its arguments."""

    account: str
    settings: GridbotConfig
    data_dir: Path
    run_id: str
    """Of the supervisor's session; each worker process derives its own from it."""
    paper_url: str | None = None
    console: bool = True
    shares: bool = False
    """Whether the supervisor shares requests and facts of the market among its workers (`fleet_link`)."""
    held: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What stops orders, by the name of its document, as an earlier process of this session said it last."""

    unkept: Mapping[str, Any] = field(default_factory=dict)
    """What holds besides, as a rescue has said that no disk has taken (`state/unkept_holds.py`)."""

    caps: Mapping[str, Any] | None = None
    """What the caps of groups and fleet say to the account (`risk/fleet_share.py`); None when none is over it."""

    paused: str = ""
    """Why every strategy begins paused; empty when none does (`start --paused`)."""

    lease: LeaseTerm | None = None
    """Of a fleet of several hosts: until when it may send. Messages `lease_term` renew it. None without a fleet."""

    takes_over: bool = False
    """Whether the process before this one died at work, for the first time in a row: what the fleet knows of the market
    counts for it as for the accounts that trade on."""

    known: Mapping[str, Any] = field(default_factory=dict)
    """What that process had read of key, margin mode and symbols (`known_account`); empty when it has not said."""

    cancels_when_lost: bool = False
    """Whether all orders are cancelled shortly before a lease ends that was not renewed (`on_lease_lost: cancel`)."""

    @property
    def neighbours(self) -> int:
        """How many accounts of the file share its exchange and our address, itself included."""
        return self.settings.neighbours(self.account)
