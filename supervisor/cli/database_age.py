"""Whether a newer gridbot has made the database of a directory that says nothing else of it: it may have come alone.

`formats.json` has it wherever a version that writes it has worked. Only without it the file itself is asked, before a
start touches anything; by a process of its own, so that the supervisor never loads DuckDB.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from gridbot.state.data_formats import tells_of
from supervisor.cli.detached_start import finding_us

__all__ = ["ask", "newer_database"]

DATABASE: Final = "gridbot.duckdb"
"""As `gridbot.store.reading` has it, which loads DuckDB."""
LOOK_S: Final = 30.0
HELD_S: Final = 1.0
"""How long the file is waited for while another process has it."""
CODE: Final = "import sys; from supervisor.cli.database_age import ask; ask(sys.argv[1])"


def newer_database(data_dir: Path) -> str | None:
    """In words, that it is of a newer gridbot; None where it is not, and where it cannot be read now."""
    path = data_dir / DATABASE
    if tells_of(data_dir, "database") or not path.exists():
        return None
    try:
        looked = subprocess.run(
            [sys.executable, "-c", CODE, str(path)], env=finding_us(), capture_output=True, timeout=LOOK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return looked.stdout.decode(errors="replace").strip() or None


def ask(path: str) -> None:
    """Say on standard output what `newer_database` says of the file. What cannot be read is told by the writer."""
    import duckdb

    from gridbot.store.reading import ReadingError, connect
    from gridbot.store.schema import SchemaTooNew, require_known

    try:
        with connect(path, timeout_s=HELD_S, config={"threads": "1"}) as con:
            require_known(con)
    except SchemaTooNew as error:
        sys.stdout.write(f"{path}: {error}; nothing was changed\n")
    except (ReadingError, OSError, duckdb.Error):
        pass
