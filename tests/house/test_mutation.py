"""The command that measures mutants: what it copies, counts and prints. The tests do without mutmut itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.house import mutation
from tests.house.mutation import ROOMS, ROOT, CannotMeasure, Tally, changes, copy_tree, main, modules, mutate

MODULE = "gridbot.core.limits"
# Stands for the interpreter that has mutmut: `run` leaves nothing behind, the rest prints what mutmut 3.8 prints.
MUTMUT = """#!/bin/sh
if [ "$1" = -c ]; then
    shift 2
    for name; do
        printf 'mutant %s\\n--- a.py\\n+++ a.py\\n@@ -1 +1 @@\\n same\\n-    a < b\\n+    a <= b\\n' "$name"
    done
    exit
fi
case "$3" in
    run) [ -z "$PYTHONPATH" ] && [ "$GRIDBOT_EXAMPLES" = 3 ] && [ -d gridbot ] || exit 9 ;;
    results) cat <<'END'
    gridbot.core.limits.x_of__mutmut_1: killed
    gridbot.core.limits.x\u01c1Limit\u01c1parse__mutmut_1: survived
    gridbot.core.limits.x\u01c1Limit\u01c1parse__mutmut_2: timeout
    gridbot.core.pnl.x_gain__mutmut_1: no tests
END
    ;;
esac
"""


@pytest.fixture
def mutmut(tmp_path: Path) -> Path:
    path = tmp_path / "mutmut"
    path.write_text(MUTMUT, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_has_modules_and_tests(room: str) -> None:
    assert len(modules(room, [])) > 3
    assert (ROOT / "tests" / room).is_dir()


def test_only_some_files() -> None:
    assert modules("core", ["limits.py", "nothing.py"]) == ["gridbot/core/limits.py"]
    assert modules("strategies", ["grid/plan.py"]) == ["gridbot/strategies/grid/plan.py"]
    assert modules("core", ["imits.py"]) == []


def test_the_copy_has_the_room_s_tests_its_settings_and_few_examples(tmp_path: Path) -> None:
    copy_tree(tmp_path, "orders", ["gridbot/orders/book.py"])
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    assert settings["only_mutate"] == ["gridbot/orders/book.py"]
    assert settings["pytest_add_cli_args_test_selection"] == ["tests/orders"]
    conftest = (tmp_path / "tests" / "conftest.py").read_text(encoding="utf-8")
    assert 'load_profile("mutation")' in conftest
    compile(conftest, "conftest.py", "exec")
    wanted = re.findall(r"^from tests(?:\.| import )(\w+)", conftest, re.MULTILINE)
    assert {"examples", "warm_python"} <= {*wanted}
    assert [name for name in wanted if not (tmp_path / "tests" / f"{name}.py").exists()] == []
    assert (tmp_path / "tests" / "core" / "helpers.py").exists()


def test_the_results_are_counted_by_module(mutmut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/the/tree")
    (tmp_path / "gridbot").mkdir()
    found = mutate(mutmut, tmp_path, examples=3, jobs=1)
    assert found.keys() == {MODULE, "gridbot.core.pnl"}
    assert found[MODULE].left == ["gridbot.core.limits.xǁLimitǁparse__mutmut_1"]
    assert str(found[MODULE]) == "  66.7 %  1 killed, 1 survived, 1 timeout"
    assert str(found["gridbot.core.pnl"]) == "   0.0 %  1 no tests"
    assert (found[MODULE] + found["gridbot.core.pnl"]).score == 50.0
    assert Tally().score == 100.0


def test_what_mutmut_says_when_it_fails_is_passed_on(mutmut: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="mutmut ended with 9"):
        mutate(mutmut, tmp_path, examples=4, jobs=1)


def test_survivors_are_shown_by_their_lines(mutmut: Path, tmp_path: Path) -> None:
    lines = "      -    a < b\n      +    a <= b"
    assert changes(mutmut, tmp_path, ["x", "y"]) == {"x": lines, "y": lines}
    assert changes(mutmut, tmp_path, []) == {}


def test_the_report_and_the_exit_code(
    mutmut: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mutation, "prepare_environment", lambda venv: mutmut)
    arguments = ["core", "--only", "limits.py", "--examples", "3", "--jobs", "1"]
    assert main([*arguments, "--at-least", "50"]) == 0
    out = capsys.readouterr().out
    assert "gridbot.core.limits.xǁLimitǁparse__mutmut_1\n      -    a < b" in out
    assert out.splitlines()[-1].split(None, 1) == ["all", "50.0 %  1 killed, 1 no tests, 1 survived, 1 timeout"]
    assert main([*arguments, "--at-least", "51"]) == 1
    assert main(["core", "--examples", "4"]) == 2
    assert "mutmut ended with 9" in capsys.readouterr().err


def test_files_that_are_not_there_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["core", "--only", "nothing.py"])
    assert "after --only, got nothing.py" in capsys.readouterr().err
