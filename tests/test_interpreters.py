"""The wheel on each Python that the package is for: installed as a user would, then the demo, on an awkward machine.

Needs a network and a minute for each, so only `bin/test --long` runs it (GRIDBOT_TEST_PYTHONS).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
AGAIN = "GRIDBOT_TEST_PYTHONS=1 .venv/bin/python -m pytest tests/test_interpreters.py -k {}"

pytestmark = pytest.mark.skipif(
    not os.environ.get("GRIDBOT_TEST_PYTHONS"), reason=f"takes minutes and a network: {AGAIN.format(VERSIONS[0])}"
)


def said_by(command: Sequence[str | Path], **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **how)


def interpreter(version: str) -> Path:
    """From PATH or pyenv, whether or not pyenv's shims are switched to it."""
    on_path = [Path(found)] if (found := shutil.which(f"python{version}")) else []
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for path in (*on_path, *sorted((home / "versions").glob(f"{version}.*/bin/python"), reverse=True)):
        if said_by([path, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]).stdout.strip() == version:
            return path
    pytest.skip(f"no Python {version} here; `pyenv install {version}`, then {AGAIN.format(version)}")


def run(*command: str | Path, cwd: Path, environ: dict[str, str] | None = None) -> str:
    """What a command says on standard output. Fails with all that it said."""
    environ = environ or {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = said_by(command, cwd=cwd, env=environ)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the checkout, which stays as it is."""
    home = tmp_path_factory.mktemp("wheel")
    for name in ("gridbot", "supervisor"):
        shutil.copytree(ROOT / name, home / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, home / "source")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", home, home / "source", cwd=home)
    [made] = home.glob("gridbot-*.whl")
    return made


class Installed:
    """The wheel in an environment of its own, and a data directory as long as the kernel's socket names do not take."""

    def __init__(self, home: Path, python: Path, wheel: Path) -> None:
        self.home = home
        run(python, "-m", "venv", home / "venv", cwd=home)
        install = ("-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
        run(home / "venv" / "bin" / "python", *install, cwd=home)
        self.data_dir = home / ("long" * 15) / ("longer" * 15) / "data"
        self.environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.environ |= {"TMPDIR": str(home / ("no-such-place" * 10)), "PYTHONWARNINGS": "error::DeprecationWarning"}

    def __call__(self, *arguments: str) -> str:
        program = self.home / "venv" / "bin" / "gridbot-supervisor"
        return run(program, *arguments, "--data-dir", str(self.data_dir), cwd=self.home, environ=self.environ)


@pytest.fixture(params=VERSIONS)
def gridbot(request: pytest.FixtureRequest, tmp_path: Path, wheel: Path) -> Iterator[Installed]:
    installed = Installed(tmp_path, interpreter(request.param), wheel)
    yield installed
    if (installed.data_dir / "control.sock").exists():
        installed("stop", "--force")


def test_the_demo_trades_and_its_money_adds_up(gridbot: Installed) -> None:
    """The demo is in the wheel: nothing of a checkout is named."""
    assert "4 strategies can start" in gridbot("check")
    gridbot("start", "--detach")
    tick = threading.Event()
    for _ in range(120):
        if json.loads(gridbot("sql", "--format", "json", "SELECT count(*) AS fills FROM fills"))[0]["fills"] > 10:
            break
        tick.wait(0.5)
    assert json.loads(gridbot("status", "--json"))["health"] == "healthy"
    assert gridbot("ledger", "check", "--exchange").count(": explained") == 2
    assert "nothing is left running" in gridbot("stop")
    assert (gridbot.data_dir / "logs" / "crash.log").read_text() == ""
    assert (gridbot.data_dir / "logs" / "stderr.log").read_text() == ""
