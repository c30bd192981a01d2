"""The sessions of the foreign clients, each on an exchange of its own."""

from __future__ import annotations

import asyncio
import decimal
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.clients.recorder import Recorder
from tests.paper.support import ALICE, manual_config, venue_of

__all__ = ["HERE", "INSTALL", "bybit_api_run", "ccxt_run", "missing_for_node"]

HERE = Path(__file__).resolve().parent
INSTALL = "npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund"


def _exchange(**changes: Any) -> Any:
    return venue_of(manual_config(position_mode="one_way", dcp=True, **changes))


def ccxt_run() -> Recorder:
    """Everything that ccxt.pro does; an assertion fails when something is wrong."""
    from tests.clients.ccxt_session import CcxtSession

    with _exchange() as venue, decimal.localcontext():  # it sets how the whole process rounds
        recorder = Recorder(venue.server)
        asyncio.run(CcxtSession(venue).run())
        return recorder


def missing_for_node() -> str:
    """What bybit-api needs and is not there, with the command that brings it; empty when all is there."""
    if shutil.which("node") is None:
        return f"needs node and npm: apt-get install -y nodejs npm && {INSTALL}"
    if not (HERE / "node_modules" / "bybit-api").is_dir():
        return f"needs the packages of tests/clients/package-lock.json: {INSTALL}"
    return ""


def bybit_api_run() -> tuple[dict[str, Any], Recorder]:
    """Everything that npm's bybit-api does: what it says it found, and what the exchange saw."""
    with _exchange(control=True) as venue:
        recorder = Recorder(venue.server)
        keys = (ALICE.api_key, ALICE.api_secret, venue.server.control_token)
        command = ["node", str(HERE / "bybit_api_session.js"), venue.url, venue.ws_url, *keys]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout.splitlines()[-1]), recorder
