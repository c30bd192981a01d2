"""When answers and pushes leave."""

from __future__ import annotations

from collections.abc import Callable

from gridbot.paper.api_error import ApiError

__all__ = ["Action", "Outgoing", "not_written"]

Action = Callable[[], None]


def not_written() -> ApiError:
    """What a request gets while what it would change cannot be kept."""
    return ApiError(10016, "Server error: the exchange cannot write its journal. Please try again later.")


class Outgoing:
    """They leave at once: nothing is kept. `publish` sends the pushes of the outbox.

    An exchange that `stands_still` takes no request of an account, no trade and no turn of the clock.
    """

    keeps = False
    """True when `settled`, `hold` or `written` have to be asked for each answer."""

    def __init__(self, publish: Action) -> None:
        self._publish = publish
        self.stands_still = False

    def changed(self) -> None:
        """Accounts may have changed: publish what the outbox has."""
        self._publish()

    def clock_turned(self) -> None:
        """A turn of the clock is done, which may have changed accounts and markets."""
        self.changed()

    def settled(self) -> bool | None:
        """Whether an answer may leave at once: True, False (it has to be refused), None: only `hold` can tell."""
        self._publish()
        return True

    def hold(self, send: Action, refuse: Action) -> None:
        """Send an answer once everything that it may tell is kept, or refuse if that cannot be; `changed` as well."""
        self._publish()
        send()

    async def written(self) -> bool:
        """`hold` for a caller that can wait: True when it may send its answer, False when it has to refuse."""
        self._publish()
        return True
