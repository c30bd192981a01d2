"""What all tests share: places of the repository, and an environment without the developer's own settings."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRIDBOT_CONFIG_PATH", "GRIDBOT_DATA_DIR", "GRIDBOT_VENV", "GRIDBOT_PYTHON"):
        monkeypatch.delenv(name, raising=False)
