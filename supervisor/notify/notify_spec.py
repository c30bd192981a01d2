"""What the supervisor gives the process that tells people of alerts. The addresses are secrets, and shown nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.notify.teller import Plan

__all__ = ["NotifySpec"]


@dataclass(frozen=True, slots=True)
class NotifySpec:
    """`addresses` by the names of the plan's lines; `deadline_s` is what a service may take; no `ping_url`: no ping."""

    data_dir: Path
    plan: Plan
    addresses: Mapping[str, str] = field(repr=False)
    deadline_s: float = 30.0
    ping_url: str = field(default="", repr=False)
    ping_period_s: float = 60.0
