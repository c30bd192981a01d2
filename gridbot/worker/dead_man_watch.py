"""Sets the exchange's disconnect-cancel-all (`dead_man`), and tells whether it stands (docs/caps.md 6).

It is set at each start and whenever the private stream is back. Where the exchange refuses it, the account trades on
without it: an incident, and a reason against health, until the next time it is set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gridbot.exchange.dead_man import DeadMan
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.incidents import Name, Standing
from gridbot.ports import ExchangeQueries
from gridbot.worker.refresh_requests import RefreshRequests

__all__ = ["DeadManWatch"]

log = logging.getLogger(__name__)

REFUSALS = frozenset({ErrorKind.AUTH, ErrorKind.PARAM, ErrorKind.HALT})


class DeadManWatch:
    """One per account; `switch` is what is configured. `refused` tells why the stream was not given its topic."""

    def __init__(
        self,
        switch: DeadMan | None,
        queries: ExchangeQueries,
        requests: RefreshRequests,
        refused: Callable[[], str],
    ) -> None:
        self._switch = switch
        self._queries = queries
        self._requests = requests
        self._topic_refused = refused
        self._is_set = False
        self._refused = ""

    def is_due(self) -> None:
        """The worker has started, or its private stream is back."""
        if self._switch is not None:
            self._is_set = False
            self._requests.set_dead_man()

    async def set(self) -> None:
        """Tell the exchange. Raises ExchangeError when nobody knows what it did; a refusal is told."""
        if self._switch is None:
            return
        try:
            await self._queries.cancel_when_gone(self._switch.after_s)
        except ExchangeError as error:
            if error.kind not in REFUSALS:
                raise
            self._is_set, self._refused = False, str(error)
            log.warning("the exchange refuses disconnect-cancel-all: %s", error)
            return
        self._is_set, self._refused = True, ""
        log.info("the exchange cancels all orders %d s after our private stream is gone", self._switch.after_s)

    # ------------------------------------------------------------------ what is shown

    @property
    def refused(self) -> str:
        """Why orders would stay if this machine were gone, as a sentence; "" when they would not, or are to."""
        why = self._refused or (self._topic_refused() if self._switch is not None else "")
        if not why:
            return ""
        return (
            f"dead_man: the exchange refuses disconnect-cancel-all: {why}; orders stay when this machine is gone: have "
            "Bybit allow it to the account, or set `dead_man: off`"
        )

    def row(self) -> dict[str, Any] | None:
        """For the health report: None where it is off."""
        if self._switch is None:
            return None
        state = "refused" if self.refused else "set" if self._is_set else "not set yet"
        return {"after_s": self._switch.after_s, "state": state}

    def standing(self) -> dict[Name, Standing]:
        """The incident that it is refused."""
        return {Name("dead_man"): Standing("error", self.refused)} if self.refused else {}
