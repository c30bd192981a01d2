"""A configuration that must be refused, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gridbot.config.errors import ConfigError
from gridbot.config.loading import load_config


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., list[str]]:
    """Load a text that must be refused; the problems as `LINE: KEY: ...`."""
    path = tmp_path / "g.yaml"

    def _refusal(text: str, **environ: str) -> list[str]:
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            load_config(path, environ=environ)
        lines = str(caught.value).splitlines()
        assert all(line.startswith(f"{path}:") for line in lines)
        return [line.removeprefix(f"{path}:").strip() for line in lines]

    return _refusal
