"""A synchronous standby of a PostgreSQL of the wheel: a commit is answered when both have it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from supervisor.fleet.embedded_server import EmbeddedServer, as_nobody, files_of, program_for

__all__ = ["Standby"]

COPY_S: Final = 120


class Standby:
    """Made from `primary`, which from then on answers no commit that the standby does not have."""

    def __init__(self, primary: EmbeddedServer) -> None:
        self._primary = primary
        directory = Path(tempfile.mkdtemp(prefix="gridbot-trial-standby-"))
        data = files_of(directory, primary.password)
        subprocess.run(
            [
                *(program_for(directory, "pg_basebackup"), "-D", data, "-h", "127.0.0.1", "-p", str(primary.port)),
                *("-U", "gridbot", "-R", "-X", "stream", "-c", "fast", "--no-sync"),
            ],
            env={**os.environ, "PGPASSWORD": primary.password},
            cwd=directory,
            check=True,
            capture_output=True,
            timeout=COPY_S,
            **as_nobody(),
        )
        self.server = EmbeddedServer.attach(directory)
        self.server.run()
        _run(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        _run(primary, "SELECT pg_reload_conf()")

    def is_synchronous(self) -> bool:
        """Whether commits wait for it."""
        return _run(self._primary, "SELECT sync_state FROM pg_stat_replication") == [("sync",)]

    def promote(self) -> None:
        """It is a primary from now on."""
        assert _run(self.server, "SELECT pg_promote(true, 60)") == [(True,)], "PostgreSQL promotes its standby"

    def end(self) -> None:
        """It ends, and its files go."""
        self.server.stop(at_once=True)
        shutil.rmtree(self.server.directory, ignore_errors=True)


def _run(server: EmbeddedServer, query: LiteralString) -> list[Any]:
    with psycopg.connect(server.dsn(), autocommit=True, connect_timeout=10) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []
