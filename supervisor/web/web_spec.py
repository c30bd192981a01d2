"""What the supervisor gives the page's process: no key, and no secret but a fleet's way to PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the reader of the records, which has no configuration, starts without pydantic
    from gridbot.config.fleet_models import FleetConfig

__all__ = ["FLEET", "WebSpec", "downloads_directory"]

FLEET: Final = "fleet"
"""Tells the reader of the records that it reads those of a whole fleet; its first line of input says where they are."""


@dataclass(frozen=True, slots=True)
class WebSpec:
    """`host` and `port` as configured, `before` the port it had in this run; `names` that lead to it;
    `metrics_token_file` where it is not the data directory's own; `is_secure` when browsers speak TLS; `hold_s` how
    long the records' file may be held at a time.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    before: int = 0
    names: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    metrics_token_file: Path | None = None
    is_secure: bool = False
    hold_s: float = 0.2
    fleet: FleetConfig | None = field(default=None, repr=False)
    """Of a host of a fleet: where its database is. None: the records are those of this host."""


def downloads_directory(data_dir: Path) -> Path:
    """Where files wait that are being sent to browsers."""
    return data_dir / "web" / "downloads"
