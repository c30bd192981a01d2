"""What a life of an account has read of key, margin mode and symbols, for the one that takes over from it.

A worker that trades asks for none of this again, but for a look each hour (`terms`). One that takes over from a life
that has died at work (`WorkerSpec.takes_over`) believes it as that life would have: `KNOWN_S` from when it was read.
What would make us trade wrongly is proved by what a start reads anyway, before anything trades:

    what                        by what                                                      else
    hedge mode of a symbol      its legs: only in hedge mode the exchange lists both          the start begins anew, and
    leverage that is wanted     the rows of its legs have it                                  asks for everything
    no isolated margin          the wallet: in isolated margin no balance is at hand          (`NotAsKnown`)
    the key may trade           the first order: its refusal stops the account, as ever       -

Nothing is believed with other settings or another key, after an orderly end, after two deaths in a row, and on a host
of a fleet, where somebody else may have had the account meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridbot.config.snapshots import snapshot_sha256
from gridbot.worker.fleet_link import KNOWN_S
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.spec import WorkerSpec

__all__ = ["KnownAccount", "NotAsKnown", "prove", "settings_of"]


class NotAsKnown(Exception):
    """Something is not as the life before had left it. Nothing has traded."""


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """`user_id` as in `Prepared`; `symbols` are in hedge mode and have the leverage that is wanted."""

    user_id: str
    symbols: frozenset[str]
    read_s: float
    """When it was read (monotonic seconds, the same clock for all processes of a machine)."""

    @classmethod
    def of(cls, spec: WorkerSpec, settings: str, now_s: float) -> KnownAccount | None:
        """What the life before has left to this one, of the same `settings`; None when this one has to ask."""
        told = spec.known
        if not spec.takes_over or spec.lease is not None or told.get("settings") != settings:
            return None
        if not 0 <= now_s - told["read_s"] <= KNOWN_S:
            return None
        return cls(told["user_id"], frozenset(told["symbols"]), told["read_s"])

    def document(self, settings: str) -> dict[str, Any]:
        """For the supervisor, which gives it to the next life."""
        return {
            "user_id": self.user_id,
            "symbols": sorted(self.symbols),
            "read_s": self.read_s,
            "settings": settings,
        }


def prove(known: KnownAccount | None, requests: RefreshRequests) -> None:
    """After a whole comparison with the exchange, which asks for what it finds changed. Raises NotAsKnown.

    What was known to nobody (None) has been asked for.
    """
    if known is None:
        return
    wishes = requests.wishes
    wrong = sorted(wishes.terms & known.symbols)
    if wrong:
        raise NotAsKnown(f"position mode or leverage of {', '.join(wrong)} is not as it was")
    if wishes.margin_mode:
        raise NotAsKnown("the margin mode is not as it was")


def settings_of(snapshot: Mapping[str, Any], api_key: str) -> str:
    """Settings (`account_snapshot`) and key of an account, as one number that tells neither."""
    return hashlib.sha256(f"{snapshot_sha256(snapshot)} {api_key}".encode()).hexdigest()
