"""Where the configuration and the data directory are, found without loading and checking a whole configuration.

Imports nothing heavy: `status` uses it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["CONFIG_VARIABLE", "DATA_DIR_VARIABLE", "data_directory", "find_config", "project_root"]

CONFIG_VARIABLE: Final = "GRIDBOT_CONFIG_PATH"
DATA_DIR_VARIABLE: Final = "GRIDBOT_DATA_DIR"


def find_config(option: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The file to use: the option, else GRIDBOT_CONFIG_PATH, else conf/demo.yaml of this checkout or directory."""
    named = option or environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    checkout = Path(__file__).resolve().parents[2] / "conf" / "demo.yaml"
    return checkout if checkout.is_file() else Path.cwd() / "conf" / "demo.yaml"


def project_root(config_path: Path) -> Path:
    """The directory that relative paths in the file start from."""
    home = config_path.resolve().parent
    return home.parent if home.name == "conf" else home


def data_directory(
    data_dir: str | None = None, config: str | None = None, environ: Mapping[str, str] = os.environ
) -> Path:
    """The option, else GRIDBOT_DATA_DIR, else `storage.data_dir` of the configuration file, else its `data`.

    The same as `gridbot.config.loading.load_config` finds, also for a file which that refuses.
    """
    named = data_dir or environ.get(DATA_DIR_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    path = find_config(config, environ)
    return Path(os.path.normpath(project_root(path) / Path(_stored(path)).expanduser()))


def _stored(path: Path) -> str:
    import yaml

    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = document["storage"]["data_dir"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return "data"
    return os.path.expandvars(str(found)) if found else "data"
