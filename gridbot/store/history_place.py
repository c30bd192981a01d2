"""Where a fleet's history is: a directory that all hosts share, or `s3://BUCKET/PREFIX` by pyarrow's filesystem.

A file is complete or absent: in a directory by another name and a rename, in S3 because an object appears when all of
it is there. Names are relative to the place, and none is used twice. Keys of S3 come from its environment or profile
(`AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...), never from the configuration; no text here has one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from gridbot.atomic_file import write_atomic
from gridbot.command_line import install_line
from gridbot.doors.bounded_json import read_json
from gridbot.doors.history_name import S3, place_problem
from gridbot.private_files import make_directory

if TYPE_CHECKING:
    from pyarrow import fs

__all__ = ["MARK", "Directory", "HistoryPlace", "ObjectStore", "PlaceAway", "mark_problem", "place_at"]

MARK: Final = "gridbot-history.json"
CONNECT_S: Final = 5.0
REQUEST_S: Final = 30.0
NEEDS: Final = (
    f"expected the packages pyarrow and fsspec, for the history of a fleet; `{install_line('pyarrow', 'fsspec')}` "
    "installs them"
)


class PlaceAway(Exception):
    """The place cannot be used at the moment; the text says why."""


class HistoryPlace(Protocol):
    """What writers and readers of the history need of its place. All raise PlaceAway."""

    def put(self, name: str, data: bytes) -> None:
        """Make a file, whole."""

    def read(self, name: str) -> bytes | None:
        """What a file has; None when there is none."""

    def remove(self, name: str) -> None:
        """Remove a file, and what a killed writer left of it; one that is not there is no error."""

    def filesystem(self) -> tuple[fs.FileSystem, str]:
        """For pyarrow: the filesystem, and the place in it."""


def place_at(place: str) -> HistoryPlace:
    """The place of this name. Raises PlaceAway."""
    if problem := place_problem(place):
        raise PlaceAway(f"expected {problem}")
    if not place.startswith(S3):
        return Directory(Path(place))
    try:
        from pyarrow import fs
    except ImportError:
        raise PlaceAway(NEEDS) from None
    try:
        store = fs.S3FileSystem(
            connect_timeout=CONNECT_S, request_timeout=REQUEST_S, allow_delayed_open=True, **_endpoint()
        )
    except (OSError, ValueError) as error:
        raise PlaceAway(_words(error)) from None
    return ObjectStore(store, place.removeprefix(S3).rstrip("/"))


def _endpoint() -> dict[str, Any]:
    """A server other than Amazon's, as its own tools take it from the environment. One without TLS on loopback only."""
    given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    options: dict[str, Any] = {"region": region} if region else {}
    scheme, found, address = given.partition("://")
    if not found:
        return options
    address = address.rstrip("/")
    if "@" in address or scheme not in ("http", "https"):
        raise PlaceAway("AWS_ENDPOINT_URL: expected https://HOST without keys")
    name = address.rpartition(":")[0] or address
    if scheme == "http" and name not in ("127.0.0.1", "localhost", "[::1]"):
        raise PlaceAway("AWS_ENDPOINT_URL: expected https:// for a server that is not this machine, got http://")
    return options | {"endpoint_override": address, "scheme": scheme}


def mark_problem(place: HistoryPlace, mark: str) -> str:
    """Why this is not the place with this mark (`supervisor.fleet.history_mark` puts it there); "" when it is.

    Raises PlaceAway.
    """
    found = place.read(MARK)
    if found is None:
        return f"expected the file {MARK}, which all hosts see there, got none: is the directory mounted?"
    try:
        there = read_json(found)["mark"]
    except (ValueError, KeyError, TypeError):
        there = None
    if there != mark:
        return f"expected the mark of this fleet in {MARK}, got another: name the place that the other hosts have"
    return ""


class Directory:
    """A directory that all hosts share. Its files are for its user, and for its group where the directory is (`chmod
    2750`). It is never made: an empty mount point must not be taken for it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes) -> None:
        path = self._path(name)
        try:
            group = self._here()
            make_directory(path.parent)
            write_atomic(path, data)
            if group is not None:
                self._open_to(group, path)
        except OSError as error:
            raise PlaceAway(_words(error)) from None

    def read(self, name: str) -> bytes | None:
        try:
            self._here()
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PlaceAway(_words(error)) from None

    def remove(self, name: str) -> None:
        path = self._path(name)
        try:
            self._here()
            if path.parent.is_dir():
                for left in (path, *path.parent.glob(f"{path.name}.*.tmp")):
                    left.unlink(missing_ok=True)
                for folder in path.relative_to(self._root).parents:
                    if str(folder) != ".":
                        (self._root / folder).rmdir()
        except OSError as error:
            if path.exists():
                raise PlaceAway(_words(error)) from None

    def filesystem(self) -> tuple[fs.FileSystem, str]:
        try:
            from pyarrow import fs
        except ImportError:
            raise PlaceAway(NEEDS) from None
        try:
            self._here()
        except OSError as error:
            raise PlaceAway(_words(error)) from None
        return fs.LocalFileSystem(), str(self._root)

    def _path(self, name: str) -> Path:
        return self._root / name

    def _here(self) -> int | None:
        """The group whose files these are to be, too; raises OSError when the directory is not there."""
        found = self._root.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(f"expected a directory at {self._root}, got something else")
        return found.st_gid if found.st_mode & 0o2050 == 0o2050 else None

    def _open_to(self, group: int, path: Path) -> None:
        path.chmod(0o640)
        for folder in path.relative_to(self._root).parents:
            place = self._root / folder
            if str(folder) != "." and place.stat().st_uid == os.geteuid():
                os.chown(place, -1, group)
                place.chmod(0o2750)


class ObjectStore:
    """A bucket of S3, or of a server that speaks its protocol."""

    def __init__(self, store: fs.FileSystem, root: str) -> None:
        self._store = store
        self._root = root

    def put(self, name: str, data: bytes) -> None:
        try:
            with self._store.open_output_stream(f"{self._root}/{name}") as stream:
                stream.write(data)
        except OSError as error:
            raise PlaceAway(_words(error)) from None

    def read(self, name: str) -> bytes | None:
        try:
            with self._store.open_input_stream(f"{self._root}/{name}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PlaceAway(_words(error)) from None

    def remove(self, name: str) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                self._store.delete_file(f"{self._root}/{name}")
        except OSError as error:
            raise PlaceAway(_words(error)) from None

    def filesystem(self) -> tuple[fs.FileSystem, str]:
        return self._store, self._root


def _words(error: BaseException) -> str:
    """The first line of what went wrong. S3's errors name bucket and key, never a credential."""
    text = str(error) if not isinstance(error, OSError) or not error.strerror else error.strerror
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {text}"
    return text.strip().partition("\n")[0] or type(error).__name__
