"""Whether this machine is ready for a configuration: data directory, files, disk, memory, CPU, a free port."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gridbot.command_line import install_line
from gridbot.config.models import GridbotConfig
from gridbot.config.paths import is_address
from gridbot.doctor.machine_findings import LITTLE_DISK
from gridbot.exchange.environment import Environment
from gridbot.paper.settings import SourceKind
from supervisor.cli.fleet_size import fleet_cautions
from supervisor.cli.machine_size import this_machine

__all__ = ["machine_cautions", "machine_failures", "nearest", "not_writable", "paper_cautions", "replay_failures"]


def machine_failures(config: GridbotConfig) -> Iterator[str]:
    """What would keep the bot from starting on this machine."""
    if (reason := not_writable(config.storage.data_dir)) is not None:
        yield f"data directory {config.storage.data_dir}: expected to be able to write there, got: {reason}"
    yield from replay_failures(config)


def replay_failures(config: GridbotConfig) -> Iterator[str]:
    """Files that the paper exchange is to read, and cannot."""
    if not _uses_paper(config):
        return
    market = config.paper.market
    read: dict[str, str | Path] = {}
    if market.source is SourceKind.REPLAY:
        read = {f"replay of {symbol}": file for symbol, file in market.files.items()}
    if market.instruments_from and not is_address(market.instruments_from):
        read["paper.market.instruments_from"] = market.instruments_from
    for what, file in read.items():
        if not os.access(file, os.R_OK) or not os.path.isfile(file):
            yield f"{what}: expected a readable file, got nothing at {file}"


def machine_cautions(config: GridbotConfig) -> Iterator[str]:
    """What may go wrong on this machine."""
    home = nearest(config.storage.data_dir)
    free = shutil.disk_usage(home).free
    if free < LITTLE_DISK:
        yield f"data directory {config.storage.data_dir}: only {free // 1024**2} MB free"
    yield from fleet_cautions(config, this_machine())
    yield from paper_cautions(config)
    if config.notify.enabled and config.notify.routes and importlib.util.find_spec("apprise") is None:
        yield f"notify: expected the package apprise, got none, so nobody is told: {install_line('apprise')}"


def paper_cautions(config: GridbotConfig) -> Iterator[str]:
    """What may go wrong with the paper exchange: its address, keys of accounts that it does not have."""
    if not _uses_paper(config):
        return
    host, port = config.paper.host, config.paper.port
    if host not in ("127.0.0.1", "::1", "localhost"):
        yield f"paper.host {host}: the paper exchange would be open to other machines"
    if port and (reason := _port_taken(host, port)) is not None:
        yield f"paper.port {port}: {reason}; fine if that is gridbot running already, otherwise use another or 0"
    names = {account.name for account in config.accounts if account.environment is Environment.PAPER}
    for name in sorted(config.paper.keys.keys() - names):
        yield f"paper.keys {name}: expected the name of a paper account ({', '.join(sorted(names))}); it does nothing"


def _uses_paper(config: GridbotConfig) -> bool:
    return any(account.environment is Environment.PAPER for account in config.accounts)


def nearest(path: Path) -> Path:
    """The path itself or the nearest directory above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def not_writable(data_dir: Path) -> str | None:
    """Why nothing can be written there; None when it can."""
    home = nearest(data_dir)
    if not home.is_dir():
        return f"{home} is not a directory"
    try:
        with tempfile.TemporaryFile(dir=home):
            return None
    except OSError as error:
        return f"{(error.strerror or str(error)).lower()}: {home}"


def _port_taken(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None
