"""Where the configuration and the data directory are, found without loading and checking a whole configuration.

Imports nothing heavy: `status` uses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = [
    "CONFIG_VARIABLE",
    "DATA_DIR_VARIABLE",
    "data_directory",
    "find_config",
    "is_address",
    "path_fault",
    "placed",
    "project_root",
    "text_of",
]

CONFIG_VARIABLE: Final = "GRIDBOT_CONFIG_PATH"
DATA_DIR_VARIABLE: Final = "GRIDBOT_DATA_DIR"
INSTALLED_DEMO: Final = Path(__file__).with_name("demo.yaml")
"""In a checkout a link to conf/demo.yaml; a wheel has the file."""
DEFAULT_DIRECTORY: Final = "data"
_SHELL_VARIABLE: Final = re.compile(r"\$[A-Za-z_]")


def find_config(option: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The file to use: the option, else GRIDBOT_CONFIG_PATH, else conf/demo.yaml of this checkout or directory, else
    the demo that is installed with the program.
    """
    named = option or environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    checkout = Path(__file__).resolve().parents[2]
    for place in (checkout, Path.cwd()):
        if (place / "conf" / "demo.yaml").is_file():
            return place / "conf" / "demo.yaml"
    return INSTALLED_DEMO


def project_root(config_path: Path) -> Path:
    """The directory that relative paths in the file start from: where it is, or the directory above a `conf`; of the
    installed demo the working directory.
    """
    if config_path == INSTALLED_DEMO:
        return Path.cwd()
    home = config_path.resolve().parent
    return home.parent if home.name == "conf" else home


def data_directory(
    data_dir: str | None = None, config: str | None = None, environ: Mapping[str, str] = os.environ
) -> Path:
    """The option, else GRIDBOT_DATA_DIR, else `storage.data_dir` of the configuration file, else its `data`.

    The same as `gridbot.config.loading.load_config` finds, whatever else is wrong with the file. Raises ConfigError
    when the file does not say which: `stop` must not reach another bot. Only a file that nobody named may be missing.
    """
    named = data_dir or environ.get(DATA_DIR_VARIABLE)
    if named:
        return placed(None, named)
    path = find_config(config, environ)
    if not (config or environ.get(CONFIG_VARIABLE) or path.is_file()):
        return placed(project_root(path), DEFAULT_DIRECTORY)
    return placed(project_root(path), _stored(path, environ))


def placed(root: Path | None, named: str | Path) -> Path:
    """An absolute path; a relative one starts from `root` (None: the working directory)."""
    path = Path(os.path.expanduser(named))
    return Path(os.path.normpath(path.absolute() if root is None else root / path))


def path_fault(text: str) -> tuple[str, str] | None:
    """What is expected instead of a path that the file may not name, and what to do; None when it may."""
    if not text.strip():
        return "a path", "write it on this line"
    if _SHELL_VARIABLE.search(text):
        return "a path, with variables as ${NAME}", "put the name in braces"
    if os.path.expanduser(text).startswith("~"):
        return "a path, with ~ of a user of this machine", "write the whole path"
    return None


LONGEST_FILE = 1 << 20
"""Bytes of a configuration file: five thousand strategies. YAML takes three seconds for so much."""


def is_address(text: str) -> bool:
    """Whether it names something in the network and no file."""
    return text.startswith(("http://", "https://"))


def text_of(file: Path) -> str:
    """What the configuration file has. Raises ConfigError when it cannot be read."""
    from gridbot.config.errors import ConfigError, Problem

    try:
        with file.open("rb") as opened:
            content = opened.read(LONGEST_FILE + 1)
        if len(content) <= LONGEST_FILE:
            return content.decode("utf-8").replace("\r\n", "\n")
        problem = Problem((), f"at most {LONGEST_FILE:,} bytes", "more", "name the configuration file with -c")
    except UnicodeDecodeError:
        problem = Problem((), "text in UTF-8", "other bytes", "save the file as UTF-8")
    except OSError as error:
        got = error.strerror or type(error).__name__
        problem = Problem((), "a readable configuration file", got, f"name one with -c or {CONFIG_VARIABLE}")
    raise ConfigError(str(file), [problem])


def _stored(path: Path, environ: Mapping[str, str]) -> str:
    from gridbot.config.errors import ConfigError, Problem
    from gridbot.config.yaml_nodes import read_document

    place = ("storage", "data_dir")
    document = read_document(text_of(path), environ)
    problems = [problem for problem in document.problems if problem.loc in ((), place)]
    storage = document.data.get("storage") if isinstance(document.data, dict) else None
    found = storage.get("data_dir", DEFAULT_DIRECTORY) if isinstance(storage, dict) else DEFAULT_DIRECTORY
    fault = path_fault(found) if isinstance(found, str) else ("a path", "write its path on this line")
    if fault is not None and not problems:
        got = f"`{document.raw[place]}`" if place in document.raw else "keys with values or a list"
        problems.append(Problem(place, fault[0], got, fault[1], document.line_of(place)))
    if problems:
        raise ConfigError(str(path), problems)
    return str(found)
