"""Nothing leaves the exchange before the journal has it: one write for each turn of the loop that changed something.

    a turn:  request -> exchange changes -> answer held      trade -> orders fill -> pushes stay in the outbox
    the next begins with the commit: what changed is written, then the pushes go out, then the answers
    (a request that has a turn for itself is committed at its end)

When the disk refuses, the held answers become refusals, and the exchange stands still: it takes no request of an
account, no trade and no turn of the clock until what it could not write is written. An order of the turn that failed
may so exist after all, as Bybit's 10016 leaves open, too.
"""

from __future__ import annotations

import asyncio
import logging

from gridbot.lock_file import Locked
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.storage.exchange_file import ExchangeFile, FoldStopped
from gridbot.paper.streams.outgoing import Action, Outgoing

__all__ = ["Commits"]

RETRY_S = 0.2
log = logging.getLogger("gridbot.paper")


class Commits(Outgoing):
    """Holds answers and pushes until the journal has what they tell."""

    keeps = True

    def __init__(self, exchange: Exchange, file: ExchangeFile, publish: Action) -> None:
        super().__init__(publish)
        self._exchange = exchange
        self._file = file
        self._held: list[tuple[Action, Action]] = []
        self._next: asyncio.Handle | None = None

    def changed(self) -> None:
        """Publish at once if nothing changed, otherwise when it is written."""
        if self._next is not None or self.stands_still:
            return
        if self._file.notes:
            self._next = asyncio.get_running_loop().call_soon(self.commit)
        else:
            self._publish()

    def clock_turned(self) -> None:
        """Look at the markets, too: the numbers of their trades must not be given again."""
        self._file.notes.look_at_markets()
        self.changed()

    def settled(self) -> bool | None:
        """Whether an answer may leave now: True, False (it has to be refused), None when `hold` has to wait for that.

        An exchange that stands still has nothing to hold: it answers with refusals and with public data. Without
        anything else to do in this turn the commit need not wait for the next one: it costs a look at all sockets.
        `_ready` is asyncio's own; a loop without it always waits.
        """
        if self.stands_still:
            return True
        if self._next is None:
            if not self._file.notes:
                self._publish()
                return True
            if not getattr(asyncio.get_running_loop(), "_ready", True):
                return self.commit()
        return None

    def hold(self, send: Action, refuse: Action) -> None:
        settled = self.settled()
        if settled is None:
            self._held.append((send, refuse))
            if self._next is None:
                self._next = asyncio.get_running_loop().call_soon(self.commit)
        elif settled:
            send()
        else:
            refuse()

    async def written(self) -> bool:
        """Wait as an answer that `hold` was given; False when it would be refused."""
        result: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def settle(value: bool) -> None:
            if not result.done():
                result.set_result(value)

        self.hold(lambda: settle(True), lambda: settle(False))
        return await result

    def commit(self) -> bool:
        """Write now what changed; False when the disk refuses."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        held, self._held = self._held, []
        if self._file.write_changes():
            if self.stands_still:
                log.warning("%s can be written again: the exchange goes on", self._file.directory)
            self.stands_still = False
            self._publish()
            for send, _ in held:
                send()
            return True
        if not self.stands_still:
            log.error(
                "%s cannot be written: %s; the exchange stands still and tries again each %g s",
                *(self._file.directory, self._file.error, RETRY_S),
            )
        self.stands_still = True
        for _, refuse in held:
            refuse()
        self._next = asyncio.get_running_loop().call_later(RETRY_S, self.commit)
        return False

    def keep(self) -> str:
        """Make removed files again; what is to be told then. Once a second."""
        try:
            removed = self._file.keep()
        except (OSError, Locked) as error:
            return f"the files of {self._file.path} were removed and cannot be made again: {error}"
        text = f"somebody removed {self._file.path} or its journal while the exchange runs"
        return f"{text}; both are made again within seconds, nothing is lost" if removed else ""

    def close(self) -> None:
        """Write what is left if the disk takes it, and give up the file. From now on the exchange stands still: the
        next one may have the file already."""
        self.commit()
        if self._next is not None:
            self._next.cancel()
        self._file.close()
        self.stands_still = True

    async def keep_short(self, interval_s: float) -> None:
        """Look each `interval_s` seconds whether the journal is long, and fold it into the state file."""
        failure = ""
        while True:
            await asyncio.sleep(interval_s)
            if self.stands_still or not self._file.is_long:
                continue
            if not self.commit():
                continue
            try:
                await asyncio.to_thread(self._file.write_whole, *self._file.begin_fold(self._exchange))
                failure = ""
            except FoldStopped:
                return
            except OSError as error:
                text = error.strerror or str(error)
                if text != failure:
                    log.error("%s cannot be written: %s; its journal grows until it can", self._file.path, text)
                failure = text
