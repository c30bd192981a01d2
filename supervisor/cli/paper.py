"""`gridbot-supervisor paper`: the embedded exchange alone, for pybit, ccxt or any other client of Bybit V5."""

from __future__ import annotations

import click

from gridbot.config.paths import find_config
from gridbot.paper.feed.replay import ReplayError
from gridbot.paper.server.paper_server import SetupError
from gridbot.paper.server.standalone import keys_of, run_standalone
from supervisor.children.entry_points import paper_spec
from supervisor.cli.options import example, load_with_secrets, place_options
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["paper"]


@click.command("paper", epilog=example("paper -c conf/demo.yaml --port 8080"))
@place_options()
@click.option("--port", type=click.IntRange(0, 65535), help="Port on 127.0.0.1 [default: of the configuration].")
@click.option("--keys", is_flag=True, help="Only print keys and secrets, those of the supervisor's exchange too.")
def paper(config: str | None, data_dir: str | None, port: int | None, keys: bool) -> None:
    """Run the paper exchange of a configuration alone, until Ctrl-C.

    It has the configuration's paper accounts and market, and prints how to point pybit and ccxt at it. Its state ends
    with it, unless the configuration names a paper.state_file. The keys are those of the data directory.
    """
    settings, token = load_with_secrets(find_config(config), data_dir)
    spec = paper_spec(settings, port, token)
    if keys:
        click.echo(keys_of(spec))
        return
    try:
        run_standalone(spec, click.echo)
    except (SetupError, ReplayError) as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    except OSError as error:
        raise CommandError(f"expected to listen on a free port, got: {error}", ExitCode.REFUSED) from None
