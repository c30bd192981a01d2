"""bin/test: what `--long` adds, what its exit code means, and its help. A stand-in for Python notes its arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = ("GRIDBOT_CAMPAIGNS", "GRIDBOT_TEST_KILLS", "GRIDBOT_EXAMPLES", "GRIDBOT_TEST_PYTHONS", "GRIDBOT_DOCS")
PYTHON = """#!/bin/sh
set_to="${GRIDBOT_CAMPAIGNS-} ${GRIDBOT_TEST_KILLS-} ${GRIDBOT_EXAMPLES-} ${GRIDBOT_TEST_PYTHONS-} ${GRIDBOT_DOCS-}"
echo "$PWD: $* [$set_to]" >>"$NOTES"
case "$*" in *"$FAILING"*) exit 3 ;; esac
"""


class Script:
    """bin/test in a checkout of its own, whose environment is there already."""

    def __init__(self, home: Path) -> None:
        self.root, self.notes = home / "a checkout", home / "notes"
        (self.root / "bin").mkdir(parents=True)
        shutil.copy(ROOT / "bin" / "test", self.root / "bin" / "test")
        (self.root / "bin" / "_bootstrap").write_text(f"venv='{home}/venv'\nbootstrap() {{ echo \"made $1\"; }}\n")
        python = home / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(PYTHON)
        python.chmod(0o755)

    def run(self, *arguments: str, failing: str = "nothing", **variables: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        return subprocess.run(
            [str(self.root / "bin" / "test"), *arguments],
            env={**inherited, "NOTES": str(self.notes), "FAILING": failing, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        return [line.removeprefix(f"{self.root}: ") for line in self.notes.read_text().splitlines()]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_usually_it_is_pytest_with_the_arguments(script: Script) -> None:
    assert script.run("tests/core", "-k", "two words").returncode == 0
    assert script.calls() == ["-m pytest -n auto --dist worksteal tests/core -k two words [    ]"]


def test_long_has_more_of_everything_and_then_the_coverage(script: Script) -> None:
    assert script.run("--long", "-x").returncode == 0
    tests, coverage = script.calls()
    assert tests == "-m pytest -n auto --dist worksteal -x [100 100 400 1 1]"
    assert coverage == "-m tests.house.coverage_alone [    ]"


def test_long_keeps_what_is_set(script: Script) -> None:
    script.run("--long", GRIDBOT_CAMPAIGNS="7", GRIDBOT_EXAMPLES="9", GRIDBOT_TEST_PYTHONS="", GRIDBOT_DOCS="")
    assert script.calls()[0].endswith("[7 100 9  ]")


@pytest.mark.parametrize("failing", ["pytest", "coverage_alone"])
def test_long_goes_on_after_a_failure_and_ends_with_its_code(script: Script, failing: str) -> None:
    assert script.run("--long", failing=failing).returncode == 3
    assert len(script.calls()) == 2


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_runs_nothing(script: Script, option: str) -> None:
    shown = script.run(option)
    assert shown.returncode == 0
    assert "bin/test --long" in shown.stdout
    assert all(name in shown.stdout for name in VARIABLES)
    assert not script.notes.exists()


def test_the_variables_are_those_that_tests_read() -> None:
    read = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name in VARIABLES if f'environ.get("{name}"' not in read] == []
