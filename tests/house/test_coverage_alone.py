"""Each module of the pure rooms has a test file of its own, and the command that measures them works.

Measuring all of them takes about a minute: `python -m tests.house.coverage_alone` is not part of the suite.
"""

from __future__ import annotations

import pytest

from tests.examples import examples
from tests.house.coverage_alone import ROOT, Result, main, modules


def test_each_module_has_a_test_file_of_its_own():
    tests = {module: ROOT / "tests" / module.parent / f"test_{module.name}" for module in modules([])}
    assert [str(module) for module, test in tests.items() if not test.exists()] == []


@pytest.mark.skipif(examples(1) < 2, reason="a new pytest: bin/test --long, which then measures all modules")
def test_one_module_is_measured(capsys):
    assert main(["orders/ids.py"]) == 0
    out = capsys.readouterr().out
    assert "orders/ids.py" in out
    assert "1 of 1 modules are whole" in out


def test_what_is_missing_is_named():
    text = str(Result("core/x.py", 90.0, (3,), ((2, 3), (5, 7), (6, -1))))
    assert text.endswith("90.0 %  line 3, 5->7, 6->exit")
    assert not Result("core/x.py", 100.0, branches=((1, 2),)).whole
    assert Result("core/x.py", 100.0).whole
