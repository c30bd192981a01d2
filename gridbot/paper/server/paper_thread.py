"""A paper exchange in a thread of the calling process: for tests and for blocking clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.streams.connections import Stamp

__all__ = ["PaperThread"]

T = TypeVar("T")
WAIT_S = 10.0


class PaperThread:
    """`with PaperThread(spec) as paper:` listens when the block begins; errors at the start are raised there.

    `server` may only be touched on its own loop: use `call`, or the shortcuts `trade` and `set_price`.
    """

    server: PaperServer

    def __init__(self, spec: PaperSpec, *, stamp: Stamp | None = None) -> None:
        self._spec = spec
        self._stamp = stamp
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="paper-exchange", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(WAIT_S)
        if self._error is not None:
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def ws_url(self) -> str:
        return self.server.ws_url

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function on the exchange's loop and return its value."""

        async def run() -> T:
            return function(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(WAIT_S)

    def trade(self, symbol: str, price: str, size: str, side: str) -> None:
        """Push one public trade; see `MarketFeed.trade`."""
        self.call(self.server.market.trade, symbol, price, size, side)

    def set_price(self, symbol: str, price: str) -> None:
        """Move the price without volume; see `MarketFeed.set_price`."""
        self.call(self.server.market.set_price, symbol, price)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:  # noqa: BLE001 - any error at the start is raised in the calling thread
            self._error = error
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with PaperServer(self._spec, stamp=self._stamp) as server:
            self.server = server
            self._started.set()
            await self._stop.wait()
