"""What a worker is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gridbot.config.models import GridbotConfig

__all__ = ["WorkerSpec"]


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
