"""`python -m gridbot.paper [--port 8484] [--accounts alice,bob]`: the exchange alone, with its default market."""

from __future__ import annotations

import argparse
import secrets
import sys

from gridbot.paper.feed.replay import ReplayError
from gridbot.paper.server.paper_server import SetupError
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.server.standalone import run_standalone
from gridbot.paper.settings import PaperConfig


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gridbot.paper", description="Embedded paper exchange, alone.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8484)
    parser.add_argument("--accounts", default="alice,bob", help="names, separated by commas")
    options = parser.parse_args()
    names = [name for name in options.accounts.split(",") if name]
    accounts = tuple(PaperAccount(name, f"paper-{name}", secrets.token_hex(18)) for name in names)
    spec = PaperSpec(config=PaperConfig(), accounts=accounts, host=options.host, port=options.port)
    try:
        run_standalone(spec, lambda line: print(line, flush=True))  # noqa: T201 - this is its output
    except (OSError, SetupError, ReplayError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
