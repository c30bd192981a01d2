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
account admission amending api api_account api_check api_market api_orders api_position auth conditional errors
exchange faults instruments ledger limits liquidation margin market market_history market_views matching order_params
orders paging persistence position_stops rsa settlement state stop_orders stop_params stops synthetic taking validate
valuation views
"""
PURE = tuple(_NAMES.split())
FORBIDDEN = {"asyncio", "aiohttp", "time", "os", "socket", "logging", "threading", "subprocess", "pybit", "pathlib"}


def imported(module: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((PAPER / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module if node.module.startswith("gridbot") else node.module.split(".")[0])
    return names


@pytest.mark.parametrize("module", PURE)
def test_pure_modules(module: str) -> None:
    names = imported(module)
    assert not names & FORBIDDEN
    inside = {name.rpartition(".")[2] for name in names if name.startswith("gridbot.paper.")}
    assert inside <= {*PURE, "config", "fault_config"}
    text = (PAPER / f"{module}.py").read_text()
    assert "datetime.now" not in text
    assert ".utcnow" not in text


def test_the_configuration_imports_no_server() -> None:
    code = "import gridbot.paper.config, gridbot.paper.spec, sys; print('aiohttp' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PAPER.parents[1]
    )
    assert done.stdout.strip() == "False"


def test_files_stay_short() -> None:
    assert [path.name for path in PAPER.glob("*.py") if len(path.read_text().splitlines()) > 400] == []
