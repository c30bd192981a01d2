"""The status model for all who look: asked for once a second while anybody does, and told as what has changed.

Each viewer has a short line of messages. One that does not read them in time loses them, and gets the whole model next.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Final

import orjson

from gridbot import background
from supervisor.control.control_client import ControlError
from supervisor.web.model_changes import changes, shown

__all__ = ["MOST_VIEWERS", "StatusFeed", "TooMany", "Viewer"]

POLL_S: Final = 1.0
FIRST_S: Final = 5.0
"""Longer than a question to the supervisor may take: who asks first gets its answer, or why there is none."""
BEAT_S: Final = 5.0
LINGER_S: Final = 3.0
"""It goes on for so long without a viewer: a page that is loaded anew finds a model."""
MOST_VIEWERS: Final = 40
MOST_WAITING: Final = 8

Json = dict[str, Any]


class TooMany(Exception):
    """No more viewers have room."""


class Viewer:
    """What one page has still to be told."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._something = asyncio.Event()
        self.lost = False

    def tell(self, message: bytes) -> None:
        """Put a message into its line."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            self.lost = True
        if not self.lost:
            self._waiting.append(message)
        self._something.set()

    def forget(self) -> None:
        """What waits is not told: what comes next says all of it."""
        self._waiting.clear()
        self.lost = False

    async def heard(self) -> bytes:
        """The next message; "" when some were lost."""
        while not self._waiting and not self.lost:
            self._something.clear()
            await self._something.wait()
        return b"" if self.lost else self._waiting.popleft()


class StatusFeed:
    """Owns the newest model. `ask` gets it from the supervisor, in a thread, and raises ControlError or OSError."""

    def __init__(self, ask: Callable[[], Json], clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._viewers: dict[Viewer, None] = {}
        self._poll: asyncio.Task[None] | None = None
        self._fresh = asyncio.Event()
        self._seen_s = clock()
        self._told_s = clock()
        self.model: Json | None = None
        self.version = 0
        self.problem = ""

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    @property
    def age_s(self) -> float | None:
        """Seconds since the model was got; None before the first."""
        return None if self.model is None else self._clock() - self._seen_s

    async def current(self) -> Json | None:
        """The model, no older than a few seconds where it can be had; else the last one, or None."""
        self._start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._fresh.wait(), FIRST_S)
        return self.model

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events for one page, for ever. Raises TooMany."""
        with self._watching() as viewer:
            await self.current()
            viewer.forget()
            yield self._whole()
            while True:
                message = await viewer.heard()
                if not message:
                    viewer.forget()
                    message = self._whole()
                yield message

    @contextlib.contextmanager
    def _watching(self) -> Iterator[Viewer]:
        if len(self._viewers) >= MOST_VIEWERS:
            raise TooMany
        viewer = Viewer()
        self._viewers[viewer] = None
        try:
            yield viewer
        finally:
            self._viewers.pop(viewer, None)

    def _start(self) -> None:
        if self._poll is None or self._poll.done():
            self._fresh.clear()
            self._poll = background.start(self._keep_asking(), name="the status for the page")

    async def _keep_asking(self) -> None:
        watched_s = self._clock()
        while True:  # once at least: somebody waits for what it finds
            began_s = self._clock()
            await self._look()
            took_s = self._clock() - began_s
            await asyncio.sleep(max(POLL_S - took_s, took_s, 0.1))  # at most half of the time is spent on it
            if self._viewers:
                watched_s = self._clock()
            elif self._clock() - watched_s >= LINGER_S:
                return

    async def _look(self) -> None:
        try:
            model = await asyncio.to_thread(self._ask)
        except (ControlError, OSError) as error:
            self.problem = str(error)
        else:
            self.problem = ""
            self._take(model)
        self._fresh.set()
        if self._clock() - self._told_s >= BEAT_S or self.problem:
            self._tell("beat", {"age_s": self.age_s, "problem": self.problem})

    def _take(self, model: Json) -> None:
        before, self.model, self._seen_s = self.model, model, self._clock()
        self.version += 1
        if not self._viewers:
            return
        if before is None:  # who came earlier than the first model has nothing that could change
            self._tell_all(self._whole())
        else:
            self._tell("change", changes(shown(before), shown(model)))

    def _tell(self, event: str, document: Any) -> None:
        self._told_s = self._clock() if event == "beat" else self._told_s
        self._tell_all(self._event(event, document))

    def _tell_all(self, message: bytes) -> None:
        for viewer in self._viewers:
            viewer.tell(message)

    def _whole(self) -> bytes:
        if self.model is None:
            return self._event("beat", {"age_s": None, "problem": self.problem})
        return self._event("status", {"model": shown(self.model), "age_s": self.age_s, "problem": self.problem})

    def _event(self, event: str, document: Any) -> bytes:
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.version, event.encode(), orjson.dumps(document))
