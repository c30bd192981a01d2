"""The package's metadata, and the scripts of bin/: what they find, what they say, and that they install once.

Nothing here uses a network: pip is a stand-in that writes down how it was called. The real install is what `.ci/run`
and `bin/gridbot-supervisor` do on a new machine.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridbot.command_line import EXTRAS

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("bin/gridbot-supervisor", "bin/test", "bin/bench", "bin/docs", "bin/screenshots", ".ci/run")

# Stands for the environment's python after `python -m venv`: `-m pip` takes a note, waits while told to, and makes
# the console script; anything else is the real interpreter.
FAKE_PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then
    touch "$TMPDIR/unpacked"
    echo "pip $*" >>"$NOTES"
    while [ -e "$NOTES.hold" ]; do sleep 0.05; done
    echo "Collecting duckdb"
    [ ! -e "$NOTES.fail" ] || { echo "no such package"; exit 1; }
    home=$(dirname "$0")
    printf '#!/bin/sh\\nprintf "%%s|" ran "$@"\\n' >"$home/gridbot-supervisor"
    chmod +x "$home/gridbot-supervisor"
    exit 0
fi
exec REAL "$@"
"""

# Stands for the machine's python: real, but `-m venv` makes a directory with the stand-in above.
FAKE_SYSTEM_PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    for target; do :; done
    echo "venv" >>"$NOTES"
    rm -rf "$target"
    mkdir -p "$target/bin"
    cp "$FAKE_PYTHON" "$target/bin/python"
    exit 0
fi
exec REAL "$@"
"""


class Checkout:
    """A copy of what the scripts need, with stand-ins for venv and pip."""

    def __init__(self, home: Path) -> None:
        self.root = home / "a checkout"
        self.notes = home / "notes"
        (self.root / "bin").mkdir(parents=True)
        for name in ("_bootstrap", "_install.py", "gridbot-supervisor"):
            shutil.copy(ROOT / "bin" / name, self.root / "bin" / name)
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.root / name)
        tools = home / "tools"
        tools.mkdir()
        python = self._tool(home / "venv-python", FAKE_PYTHON)
        self._tool(tools / "python3", FAKE_SYSTEM_PYTHON)
        for name in ("sh", "cat", "cksum", "tr", "dirname", "readlink", "cp", "rm", "mkdir", "chmod", "sleep", "touch"):
            (tools / name).symlink_to(shutil.which(name) or "")
        self.environ = {"PATH": str(tools), "NOTES": str(self.notes), "FAKE_PYTHON": str(python)}
        self.script = self.root / "bin" / "gridbot-supervisor"
        self.venv = self.root / ".venv"

    @staticmethod
    def _tool(path: Path, text: str) -> Path:
        # The venv module's own marker must not make the real interpreter think it stands in the fake environment.
        path.write_text(text.replace("REAL", f"'{Path(sys.executable).resolve()}'"))
        path.chmod(0o755)
        return path

    def run(
        self, *arguments: str, script: Path | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [str(script or self.script), *arguments]
        return subprocess.run(
            command, env=self.environ, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.script), *arguments], env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def hold(self) -> Path:
        path = Path(f"{self.notes}.hold")
        path.touch()
        return path

    def until_pip_runs(self, times: int = 1) -> None:
        tick = threading.Event()
        for _ in range(1200):
            if sum(line.startswith("pip") for line in self.noted()) >= times:
                return
            tick.wait(0.05)
        raise AssertionError(f"pip was not started; notes: {self.noted()}")


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path)
    yield made
    Path(f"{made.notes}.hold").unlink(missing_ok=True)


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_package_says_what_it_is():
    project = _pyproject()["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["scripts"] == {"gridbot-supervisor": "supervisor.cli.main:main"}
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


def test_every_dependency_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text()
    section = text[text.index("dependencies = [") : text.index("[project.optional-dependencies]")]
    for line in section.splitlines():
        if line.strip().startswith('"'):
            assert re.search(r",\s+# \w", line), line


def test_the_constraints_are_exact_and_complete():
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines), lines
    fixed = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    project = _pyproject()["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["docs"]]
    names = {re.split(r"[^A-Za-z0-9_-]", need)[0].lower().replace("_", "-") for need in wanted}
    assert names <= fixed
    assert "gridbot" not in fixed


def test_what_the_program_says_to_install_is_what_its_extras_ask_for():
    extras = [need for needs in _pyproject()["project"]["optional-dependencies"].values() for need in needs]
    assert [each for each in EXTRAS.values() if each not in extras] == []
    assert all(re.split(r"[^A-Za-z0-9_-]", need)[0] == name for name, need in EXTRAS.items())


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_can_be_run_and_parsed(name):
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["sh", "-n", str(ROOT / name)], check=True, timeout=60)


def test_shellcheck_finds_nothing():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    subprocess.run([shellcheck, "-x", *SCRIPTS, "bin/_bootstrap"], cwd=ROOT, check=True, timeout=60)


def test_the_first_start_installs_and_the_second_does_not(checkout):
    first = checkout.run("status", "with space")
    assert (first.returncode, first.stdout) == (0, "ran|status|with space|")
    assert [line.split()[1] for line in first.stderr.splitlines()] == ["making", "installing", "installed"]
    assert (checkout.venv / "install.log").read_text() == "Collecting duckdb\n"
    (made, installed) = checkout.noted()
    assert made == "venv"
    assert f"--constraint {checkout.root}/constraints.txt --editable {checkout.root}" in installed
    second = checkout.run("stop")
    assert (second.returncode, second.stdout, second.stderr) == (0, "ran|stop|", "")
    assert len(checkout.noted()) == 2


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_a_change_of_what_is_wanted_installs_again(checkout, file):
    checkout.run()
    with (checkout.root / file).open("a") as changed:
        changed.write("# changed\n")
    checkout.run()
    checkout.run()
    assert [line.split()[0] for line in checkout.noted()] == ["venv", "pip", "pip"]


def test_it_is_found_through_links_and_from_any_directory(checkout, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "two").symlink_to("one")
    (tmp_path / "links" / "one").symlink_to(checkout.script)
    assert checkout.run("x", script=tmp_path / "links" / "two", cwd=Path("/")).stdout == "ran|x|"
    assert checkout.venv.is_dir()


def test_an_environment_of_developers_serves_users_too(checkout):
    checkout.run()
    stamp = checkout.venv / ".gridbot-installed"
    stamp.write_text(stamp.read_text().replace(" base\n", " dev\n"))
    checkout.run()
    assert len(checkout.noted()) == 2


def test_a_failed_install_is_tried_again(checkout):
    Path(f"{checkout.notes}.fail").touch()
    failed = checkout.run()
    assert failed.returncode == 1
    assert "the install failed" in failed.stderr
    assert "no such package" in failed.stderr
    assert f"all that pip said is in {checkout.venv}/install.log" in failed.stderr
    assert "Traceback" not in failed.stderr
    Path(f"{checkout.notes}.fail").unlink()
    assert checkout.run().stdout == "ran|"


def test_an_interrupted_install_is_begun_afresh(checkout):
    hold = checkout.hold()
    process = checkout.start()
    checkout.until_pip_runs()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    left = checkout.venv / ".gridbot-pip" / "unpacked"
    assert left.exists(), "pip's own files are in the environment, and go with it"
    hold.unlink()
    again = checkout.run()
    assert again.stdout == "ran|"
    assert "was interrupted: beginning afresh" in again.stderr
    assert not left.parent.exists()
    assert [line.split()[0] for line in checkout.noted()] == ["venv", "pip", "venv", "pip"]


def test_two_first_starts_at_once_install_once(checkout):
    hold = checkout.hold()
    first = checkout.start("one")
    checkout.until_pip_runs()
    second = checkout.start("two")
    assert second.stderr is not None
    assert "another process is installing" in second.stderr.readline()
    hold.unlink()
    assert first.communicate(timeout=60)[0] == "ran|one|"
    assert second.communicate(timeout=60)[0] == "ran|two|"
    assert [line.split()[0] for line in checkout.noted()] == ["venv", "pip"]


def test_no_python_is_said_clearly(checkout, tmp_path):
    old = tmp_path / "tools" / "python3"
    old.write_text('#!/bin/sh\ncase "$2" in *print*) echo 3.9 ;; *) exit 1 ;; esac\n')
    result = checkout.run()
    assert result.returncode == 1
    assert "expected Python 3.11 or newer, got" in result.stderr
    assert "python3 is Python 3.9" in result.stderr
    assert "GRIDBOT_PYTHON=" in result.stderr
    old.unlink()
    assert "got none at all" in checkout.run().stderr
