"""What the supervisor gives the page's process. No key and no secret is among it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["WebSpec"]


@dataclass(frozen=True, slots=True)
class WebSpec:
    """`host` and `port` as configured, `before` the port it had in this run; `names` that lead to it;
    `metrics_token_file` where it is not the data directory's own; `is_secure` when browsers speak TLS.
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
