"""Modules stay short and have names of their own. The other limits of `python -m tests.house.sizes` are aims."""

from __future__ import annotations

import ast

from tests.house.sizes import (
    MODULE_LINES,
    Function,
    import_circles,
    main,
    methods,
    module_lines,
    names_used_twice,
    parameters,
)
from tests.house.source import MODULES


def test_no_module_is_over_the_limit():
    assert {module: lines for module in MODULES if (lines := module_lines(module)) > MODULE_LINES} == {}


def test_no_two_modules_share_a_name():
    assert names_used_twice() == {}


def test_no_circle_of_imports():
    assert import_circles() == []


def test_what_is_counted():
    source = (
        "class A:\n    def __init__(self): ...\n    def f(self, a, /, b, *c, d=1, **e): ...\n    async def g(): ...\n"
    )
    cls = ast.parse(source).body[0]
    assert isinstance(cls, ast.ClassDef)
    assert methods(cls) == 2
    assert [parameters(node) for node in cls.body if isinstance(node, Function)] == [0, 5, 0]


def test_the_report_is_printed(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "circles of imports: 0" in out
    assert "module lines over 400: 0" in out
