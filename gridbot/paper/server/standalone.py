"""The exchange on its own, in the foreground: `gridbot-supervisor paper`, or `python -m gridbot.paper`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec

__all__ = ["instructions", "keys_of", "run_standalone"]


def run_standalone(spec: PaperSpec, echo: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `echo` gets the lines for the user, see `instructions`.

    Raises OSError when the port is taken, `SetupError` or `ReplayError` when the market cannot be opened.
    """
    asyncio.run(_serve(spec, echo))


async def _serve(spec: PaperSpec, echo: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with PaperServer(spec) as server:
        echo(instructions(server))
        ended = asyncio.create_task(server.ended.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, stopping):
            task.cancel()
        echo("paper exchange stops: " + ("the replay is over" if server.ended.is_set() else "asked to"))


def instructions(server: PaperServer) -> str:
    """Where it listens, and code that points pybit and ccxt at it, ready to be copied.

    Secrets of the data directory are shown: they open nothing but this exchange. Configured ones are not.
    """
    accounts = server.spec.accounts
    key, secret = (accounts[0].api_key, _shown_secret(accounts[0])) if accounts else ("...", "...")
    symbols = ", ".join(sorted(server.exchange.markets))
    return f"""paper exchange listens on {server.url}
symbols: {symbols}
{keys_of(server.spec, server.control_token)}

pybit:
    from pybit.unified_trading import HTTP, WebSocket
    http = HTTP(api_key="{key}", api_secret="{secret}")
    http.endpoint = "{server.url}"
    class PaperWebSocket(WebSocket):
        def _connect(self, url):
            super()._connect("{server.ws_url}" + url[url.index("/v5/"):])
    # stream = PaperWebSocket(testnet=True, channel_type="linear")
    # stream = PaperWebSocket(testnet=True, channel_type="private", api_key="{key}", api_secret="...")

ccxt:
    import ccxt, ccxt.pro
    settings = {{"apiKey": "{key}", "secret": "{secret}", "options": {{"fetchMarkets": {{"types": ["linear"]}}}},
        "urls": {{"api": {{"public": "{server.url}", "private": "{server.url}", "ws": {{
            "public": {{"linear": "{server.ws_url}/v5/public/linear"}},
            "private": {{"contract": "{server.ws_url}/v5/private", "trade": "{server.ws_url}/v5/trade"}}}}}}}}}}
    exchange = ccxt.bybit(settings)
    # stream = ccxt.pro.bybit(settings)

Stop with Ctrl-C."""


def keys_of(spec: PaperSpec, control_token: str = "") -> str:
    """Accounts with key and secret, and the token of the control endpoint when there is one, as lines."""
    lines = [
        f"  {account.name}: api_key={account.api_key} api_secret={_shown_secret(account)} "
        f"balance={spec.balance_of(account)} USDT"
        for account in spec.accounts
    ]
    token = control_token or spec.control_token
    control = [f"control: Authorization: Bearer {token}"] if spec.config.control and token else []
    return "\n".join(["accounts:", *(lines or ["  none"]), *control])


def _shown_secret(account: PaperAccount) -> str:
    return account.api_secret if account.api_key == f"paper-{account.name}" else "(as configured)"
