"""Writes the records as Parquet files, also beside a running bot."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from gridbot.atomic_file import put_in_place, remove_abandoned, remove_forgotten, temporary_beside, write_atomic
from gridbot.private_files import make_directory
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.reading import connect, names_in
from gridbot.store.schema import quote

__all__ = ["Exported", "export"]

MANIFEST: Final = "manifest.json"


@dataclass(slots=True)
class Exported:
    """Files written by `export`, and the days that were up to date already."""

    written: list[Path] = field(default_factory=list)
    skipped: int = 0


def export(data_dir: Path, target: Path, *, tables: tuple[str, ...] = (), wait_s: float = 30.0) -> Exported:
    """Write the record tables as Parquet below `target`, one file per table and UTC day of `local_ts`.

    Days that have no more rows than at the last export are not written again, nor those of which retention has removed
    some since: an export keeps what the database forgets. The database is opened once per file, so a running writer
    gets its turn in between.
    """
    manifest_path = target / MANIFEST
    manifest: dict[str, int] = orjson.loads(manifest_path.read_bytes()) if manifest_path.exists() else {}
    done = Exported()
    remove_abandoned(manifest_path)
    for folder in target.glob("*/day=*"):
        remove_forgotten(folder, ".parquet")
    with connect(data_dir, timeout_s=wait_s) as con:  # a file of an earlier version does not have them all
        there = names_in(con)
    for table in (table for table in tables or RECORD_TYPES if table in there):
        days = f"SELECT CAST(local_ts AS DATE)::VARCHAR, count(*) FROM {table} GROUP BY 1 ORDER BY 1"
        with connect(data_dir, timeout_s=wait_s) as con:
            found = con.execute(days).fetchall()
        for day, count in found:
            key = f"{table}/day={day}"
            if manifest.get(key, 0) >= count:
                done.skipped += 1
                continue
            done.written.append(_export_day(data_dir, target / key, table, day, wait_s))
            manifest[key] = count
            write_atomic(manifest_path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return done


def _export_day(data_dir: Path, folder: Path, table: str, day: str, wait_s: float) -> Path:
    make_directory(folder)
    path = folder / f"{table}.parquet"
    remove_abandoned(path)
    partial = temporary_beside(path)
    rows = f"SELECT * FROM {table} WHERE local_ts >= DATE '{day}' AND local_ts < DATE '{day}' + INTERVAL 1 DAY"
    with connect(data_dir, timeout_s=wait_s) as con:
        con.execute(f"COPY ({rows}) TO {quote(str(partial))} (FORMAT parquet, COMPRESSION zstd)")
    put_in_place(partial, path)
    return path
