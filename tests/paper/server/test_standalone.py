"""`gridbot-supervisor paper`: a process of its own, used with nothing but what it prints."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.paper.support import Inbox, eventually, limit_order

ROOT = Path(__file__).parents[3]
CONFIG = """
environment: paper
accounts: [{name: dan}, {name: erin, api_key: own-key, api_secret: own-secret-of-erin}]
paper: {market: {source: manual, symbols: {BTCUSDT: {price: 60000}}}}
"""
pytestmark = pytest.mark.system


@contextmanager
def alone(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The process, and the lines it printed until it was ready."""
    (tmp_path / "paper.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "supervisor", "paper", "-c", str(tmp_path / "paper.yaml"), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        try:
            while not lines or lines[-1] != "Stop with Ctrl-C.":
                line = process.stdout.readline()
                assert line, process.communicate()[1]
                lines.append(line.rstrip("\n"))
            yield process, lines
        finally:
            if process.poll() is None:
                process.kill()


def run_printed(lines: list[str], what: str) -> dict[str, Any]:
    """Run the code printed under a heading, as a user who copied it would; the names it made."""
    start = lines.index(f"{what}:") + 1
    end = lines.index("", start)
    names: dict[str, Any] = {}
    exec(textwrap.dedent("\n".join(lines[start:end])), names)
    return names


def test_clients_made_from_what_it_prints_trade_on_it(tmp_path: Path) -> None:
    with alone(tmp_path) as (process, lines):
        assert "own-secret-of-erin" not in "\n".join(lines)
        printed = run_printed(lines, "pybit")
        http, inbox = printed["http"], Inbox()
        stream = printed["PaperWebSocket"](
            testnet=True, channel_type="private", api_key=http.api_key, api_secret=http.api_secret
        )
        stream.order_stream(inbox)
        http.switch_position_mode(category="linear", symbol="BTCUSDT", mode=3)

        def placed() -> str:
            """The subscription is not confirmed by pybit: place until the stream tells of it."""
            order = limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1)
            return str(http.place_order(**order)["result"]["orderId"])

        placed()
        eventually(lambda: placed() and inbox.rows("order"), timeout=30)
        exchange = run_printed(lines, "ccxt")["exchange"]
        exchange.load_markets()
        mine = [order["id"] for order in exchange.fetch_open_orders("BTC/USDT:USDT")]
        assert inbox.rows("order")[0]["orderId"] in mine
        stream.exit()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
        assert "paper exchange stops: asked to" in rest
