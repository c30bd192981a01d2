"""`/metrics`: who may scrape, and the text, made once for each model.

It is made in a thread: it takes a tenth of a second for fifty accounts, and pages go on meanwhile.

Without a token that can be used there are no metrics, and a line in the log says why; the page does not need them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gridbot.rolling_limit import RollingLimit
from supervisor.metrics.metric_text import exposition
from supervisor.metrics.metrics_token import is_bearer, metrics_token

__all__ = ["FAILURES", "MetricsDoor"]

log = logging.getLogger("supervisor.web")

FAILURES: Final = 10
WINDOW_S: Final = 60.0
"""After so many wrong tokens in a minute the answer is 429; the right one is answered all the while."""


class MetricsDoor:
    """One per page. `path` is where the token is; `clock` in seconds."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._path = path
        self._making = asyncio.Lock()
        self._token = ""
        self._failures = RollingLimit(FAILURES, WINDOW_S)
        self._made: tuple[int, bytes] | None = None

    def open(self) -> None:
        """Read the token, or make it at the first start."""
        try:
            self._token = metrics_token(self._path)
        except (OSError, ValueError) as error:
            log.warning("no metrics until the next start of this process: %s", error)

    def refuses(self, authorization: str) -> tuple[int, str] | None:
        """Status and words for whoever may not scrape; None for who may."""
        if self._token and is_bearer(authorization, self._token):
            return None
        if not self._failures.take(1, self._clock()):
            return 429, "too many wrong tokens"
        what = "expected the header `Authorization: Bearer TOKEN` with the token of web.metrics_token_file"
        return 401, f"{what}, without one that of DATA_DIR/web/metrics_token"

    async def text(self, model: dict[str, Any] | None, version: int) -> bytes:
        """The metrics of a model; None: the supervisor does not answer."""
        if model is None:
            return exposition(None)
        async with self._making:
            if self._made is None or self._made[0] != version:
                self._made = version, await asyncio.to_thread(exposition, model)
            return self._made[1]
