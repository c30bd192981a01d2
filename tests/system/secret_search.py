"""Looks for planted secrets in everything that a run wrote: files, archives, columns of the database, processes."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.parse
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import psutil

__all__ = ["Found", "found_in", "process_bytes", "written"]

Found = tuple[str, str]
"""Which secret, and where."""


def forms(secret: str) -> set[bytes]:
    """How it may stand somewhere: as it is, as JSON, in a URL, in base64; a long one also by its lines."""
    texts = {secret, json.dumps(secret)[1:-1], urllib.parse.quote(secret, safe=""), repr(secret)[1:-1]}
    texts.add(base64.b64encode(secret.encode()).decode().rstrip("="))
    texts.update(line for line in secret.splitlines() if len(line) >= 16 and "-----" not in line)
    return {text.encode() for text in texts}


def found_in(places: Iterator[tuple[str, bytes]], secrets: Mapping[str, str]) -> list[Found]:
    """Each secret in each place where it stands."""
    wanted = {name: forms(secret) for name, secret in secrets.items()}
    return [(name, where) for where, data in places for name, texts in wanted.items() if any(t in data for t in texts)]


def written(*roots: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below, by its path; of archives and databases what is in them too, since both are compressed."""
    for root in roots:
        for path in (root,) if root.is_file() else sorted(root.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                yield str(path), data
                yield from _inside(path, data)


def _inside(path: Path, data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield f"{path}:{name}", archive.read(name)
    elif data[:2] == b"\x1f\x8b":
        yield f"{path}:gzip", gzip.decompress(data)
    elif data[8:12] == b"DUCK":
        with duckdb.connect(str(path), read_only=True) as con:
            tables = [row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            for table in tables:
                yield f"{path}:{table}", str(con.execute(f'FROM "{table}"').fetchall()).encode()


def process_bytes(pids: Mapping[str, int], *whats: str) -> Iterator[tuple[str, bytes]]:
    """Arguments (`cmdline`) and environment (`environ`) of processes, by their names; of those that are there."""
    for name, pid in pids.items():
        for what in whats:
            try:
                yield f"{what} of {name}", Path(f"/proc/{pid}/{what}").read_bytes()
            except (OSError, psutil.Error):
                continue
