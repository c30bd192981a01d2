"""A read-only filesystem of DuckDB with the files of a fleet's history, and no others: `history://NAME`.

So a connection that is locked can read them, one place is like another, and no extension of DuckDB is needed. Each
connection to a file with such views registers it; what a query does not need of a file is not read.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from gridbot.store.history_place import NEEDS, HistoryPlace
from gridbot.store.reading import ReadingError

if TYPE_CHECKING:
    import duckdb

__all__ = ["PROTOCOL", "HistoryFiles"]

PROTOCOL: Final = "history"


class HistoryFiles:
    """The files of a place that count at one moment, by name and size in bytes."""

    def __init__(self, place: HistoryPlace, sizes: dict[str, int]) -> None:
        self._place = place
        self._sizes = sizes

    @property
    def names(self) -> Collection[str]:
        """Of the files."""
        return self._sizes

    def register(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let a connection, which is not locked yet, read them, also when it is locked later. Raises ReadingError."""
        con.register_filesystem(self._filesystem)
        con.execute(f"SET allowed_directories = ['{PROTOCOL}://']")

    @cached_property
    def _filesystem(self) -> Any:
        try:
            from fsspec import AbstractFileSystem
        except ImportError:
            raise ReadingError(NEEDS) from None
        store, root = self._place.filesystem()
        sizes = self._sizes

        class Files(AbstractFileSystem):  # type: ignore[misc]
            """What DuckDB asks of a filesystem."""

            protocol = PROTOCOL
            cachable = False

            def info(self, path: str, **_: Any) -> dict[str, Any]:
                name = _name(path)
                if name not in sizes:
                    raise FileNotFoundError(path)
                return {"name": path, "size": sizes[name], "type": "file"}

            def exists(self, path: str, **_: Any) -> bool:
                return _name(path) in sizes

            def isfile(self, path: str) -> bool:
                return _name(path) in sizes

            def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
                return []

            def glob(self, path: str, **_: Any) -> list[str]:
                return [path] if _name(path) in sizes else []

            def modified(self, path: str) -> datetime:
                return datetime(1970, 1, 1, tzinfo=UTC)  # a file never changes

            def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
                name = _name(path)
                if mode != "rb" or name not in sizes:
                    raise PermissionError("the files of the history can only be read")
                file = store.open_input_file(f"{root}/{name}")
                if (size := file.size()) != sizes[name]:
                    file.close()
                    raise OSError(f"{name}: expected {sizes[name]} bytes, got {size}: the file is damaged")
                return file

        return Files()


def _name(path: str) -> str:
    return path.removeprefix(f"{PROTOCOL}://").lstrip("/")
