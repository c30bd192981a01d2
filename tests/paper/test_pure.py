"""What must stay pure imports nothing that does I/O or reads a clock; the configuration pulls in no server."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "gridbot" / "paper"
_NAMES = """
api.auth api.dispatch api.request_limits api.rsa_signature api_error calls.account_calls calls.market_calls
calls.order_calls calls.position_calls calls.precheck_call params.order_params params.paging params.stop_params
params.validate accounts.account engine.admission engine.amending engine.exchange ledger.exchange_state
engine.liquidation ledger.matching engine.pair_margin accounts.exchange_order ledger.settlement engine.taking
accounts.valuation faults.fault_plan market.instruments market.market_history market.symbol_market market.synthetic
rows.market_rows rows.private_rows rows.transaction_rows server.persistence engine.conditional
stops.position_stops accounts.stop_kinds stops.stop_orders
"""
PURE = tuple(_NAMES.split())
FORBIDDEN = {"asyncio", "aiohttp", "time", "os", "socket", "logging", "threading", "subprocess", "pybit", "pathlib"}


def imported(module: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((PAPER / f"{module.replace('.', '/')}.py").read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module if node.module.startswith("gridbot") else node.module.split(".")[0])
    return names


@pytest.mark.parametrize("module", PURE)
def test_pure_modules(module: str) -> None:
    names = imported(module)
    assert not names & FORBIDDEN
    inside = {name.removeprefix("gridbot.paper.") for name in names if name.startswith("gridbot.paper.")}
    assert inside <= {*PURE, "settings", "faults.fault_config", "calls", "rows", "params"}
    text = (PAPER / f"{module.replace('.', '/')}.py").read_text()
    assert "datetime.now" not in text
    assert ".utcnow" not in text


def test_the_configuration_imports_no_server() -> None:
    code = "import gridbot.paper.settings, gridbot.paper.server.paper_spec, sys; print('aiohttp' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PAPER.parents[1]
    )
    assert done.stdout.strip() == "False"


def test_files_stay_short() -> None:
    assert [path.name for path in PAPER.rglob("*.py") if len(path.read_text().splitlines()) > 400] == []
