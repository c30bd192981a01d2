"""`gridbot-supervisor paper`: the embedded exchange alone, for pybit, ccxt or whatever else speaks Bybit V5."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import click

from supervisor.cli import place_options
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.places import config_path

if TYPE_CHECKING:
    from gridbot.paper.spec import PaperSpec

__all__ = ["paper"]


@click.command("paper")
@place_options
@click.option("--port", type=click.IntRange(0, 65535), help="Port on 127.0.0.1 [default: of the configuration].")
def paper(config: str | None, data_dir: str | None, port: int | None) -> None:
    """Run the paper exchange of a configuration alone, until Ctrl-C.

    It has the configuration's paper accounts and market. Nothing is written; its state ends with it.
    """
    from gridbot.paper.server import SetupError
    from supervisor.entries import paper_spec
    from supervisor.run import load

    spec = paper_spec(load(config_path(config), data_dir), port)
    try:
        asyncio.run(_serve(spec))
    except SetupError as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    except OSError as error:
        raise CommandError(f"expected to listen on a free port, got: {error}", ExitCode.REFUSED) from None


async def _serve(spec: PaperSpec) -> None:
    from gridbot.paper.server import PaperServer

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with PaperServer(spec) as server:
        click.echo(f"paper exchange: {server.url} (REST), {server.url.replace('http', 'ws', 1)}/v5/... (WebSocket)")
        for account in spec.accounts:
            generated = account.api_key == f"paper-{account.name}"  # made from the name: no secret to anybody
            secret = account.api_secret if generated else "as in the configuration"
            click.echo(f"  account {account.name}: key {account.api_key}, secret {secret}")
        click.echo("  stop   Ctrl-C")
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(server.ended.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
