"""The state file: read once at the start, written whole and atomically."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.feed.market_setup import SetupError
from gridbot.paper.server.persistence import dump_state, load_state

__all__ = ["read_state", "write_state"]


def read_state(exchange: Exchange, path: Path) -> bool:
    """Load the file into a fresh exchange; False when there is none yet."""
    try:
        load_state(exchange, orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(f"paper.state_file {path} cannot be used: {error}; move it away to begin anew") from error
    return True


def write_state(exchange: Exchange, path: Path) -> None:
    """Write a new file beside the old one and put it in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(orjson.dumps(dump_state(exchange)))
    os.replace(fresh, path)
