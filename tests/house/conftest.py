"""A module that does not exist, for tests that a rule finds who breaks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house.source import MODULES


@pytest.fixture
def module_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Gives a module of a room a source text. Its name is another in each test: what is known of one is kept."""

    def make(source: str, room: str) -> str:
        path = tmp_path / "offender.py"
        path.write_text(source)
        module = f"{room}.{tmp_path.name}"
        monkeypatch.setitem(MODULES, module, path)
        return module

    return make
