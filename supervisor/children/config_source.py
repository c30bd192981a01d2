"""Where the configuration of a running supervisor is read again: file, place, and the variables of its start.

The variables with keys are removed from the process's own environment (`paper_secrets.forget_variables`): they are kept
here, and those that whoever asks for a reload has, come on top.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from gridbot.config.models import GridbotConfig

__all__ = ["ConfigSource", "FileLook", "Source", "variables_in"]

_NAME: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")


class Source(Protocol):
    """Where a configuration is read again: a file, or the database of a fleet."""

    @property
    def file(self) -> Path:
        """This machine's own file."""

    @property
    def data_dir(self) -> str | None:
        """What the command line gave."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables of the start."""

    def load(self, variables: Mapping[str, str], place: Path) -> GridbotConfig:
        """What is to be in force, checked, with all secrets. Raises ConfigError, OSError, ValueError."""


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """`data_dir` is what the command line gave, None where it gave none."""

    file: Path
    data_dir: str | None
    environ: Mapping[str, str] = field(repr=False)

    def load(self, variables: Mapping[str, str], place: Path) -> GridbotConfig:
        """The file as it is now, checked, with the secrets of its paper accounts (their seed is in `place`).

        Raises ConfigError with every problem, OSError and ValueError when the seed cannot be read.
        """
        from gridbot.config.loading import load_config
        from gridbot.config.paper_secrets import paper_seed, with_paper_secrets

        config = load_config(self.file, environ={**self.environ, **variables}, data_dir=self.data_dir)
        if not any(account.environment == "paper" for account in config.accounts):
            return config
        return with_paper_secrets(config, paper_seed(place))


class FileLook:
    """Whether the file is another one than it was when it was read last."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._now = self._read = self._digest()

    def taken(self) -> None:
        """The file as it is now is in force."""
        self._read = self._now = self._digest()

    @property
    def differs(self) -> bool:
        """It reads the file only when its time or size has changed."""
        try:
            stat = self._file.stat()
        except OSError:
            return True
        if self._seen != (stat.st_mtime_ns, stat.st_size):
            self._now, self._seen = self._digest(), (stat.st_mtime_ns, stat.st_size)
        return self._now != self._read

    def _digest(self) -> str:
        try:
            return hashlib.sha256(self._file.read_bytes()).hexdigest()
        except OSError:
            return ""


def variables_in(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a file names and that there are."""
    return {name: environ[name] for name in _NAME.findall(text) if name in environ}
