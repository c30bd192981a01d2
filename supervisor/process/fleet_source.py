"""Where the supervisor of a fleet's host reads its configuration again: the version that its `FleetHost` goes by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gridbot.config.host_config import FleetSettings, held_by
from gridbot.config.models import GridbotConfig

__all__ = ["FleetSource"]


class FleetSource:
    """`file` is the host's own. `settings` is what `load` makes the configuration of, for the accounts `here`."""

    def __init__(self, file: Path, data_dir: str | None, environ: Mapping[str, str], settings: FleetSettings) -> None:
        self.file = file
        self.data_dir = data_dir
        self.environ = environ
        self.settings = settings
        self.here: Callable[[], list[str]] = list

    def load(self, variables: Mapping[str, str], place: Path) -> GridbotConfig:
        """The newest version for the accounts that are here; variables are the host's own business."""
        return held_by(self.settings, self.here())
