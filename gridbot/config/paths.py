"""Where a command finds the data directory, without loading and checking a whole configuration first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["CONFIG_VARIABLE", "DATA_DIR_VARIABLE", "config_path", "data_directory"]

CONFIG_VARIABLE = "GRIDBOT_CONFIG_PATH"
DATA_DIR_VARIABLE = "GRIDBOT_DATA_DIR"


def config_path(option: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The configuration file: the option, else GRIDBOT_CONFIG_PATH, else conf/demo.yaml of this checkout."""
    named = option or environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    checkout = Path(__file__).resolve().parents[2] / "conf" / "demo.yaml"
    return checkout if checkout.is_file() else Path.cwd() / "conf" / "demo.yaml"


def data_directory(
    data_dir: str | None = None, config: str | None = None, environ: Mapping[str, str] = os.environ
) -> Path:
    """The option, else GRIDBOT_DATA_DIR, else `storage.data_dir` of the configuration file, else its `data`.

    The same answer as `gridbot.config.loading.load_config` gives, also for a file that would be refused otherwise.
    """
    named = data_dir or environ.get(DATA_DIR_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    path = config_path(config, environ)
    home = path.resolve().parent
    root = home.parent if home.name == "conf" else home
    return Path(os.path.normpath(root / Path(_stored(path)).expanduser()))


def _stored(path: Path) -> str:
    import yaml

    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = document["storage"]["data_dir"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return "data"
    return os.path.expandvars(str(found)) if found else "data"
