"""The fork server for tests that start processes by `multiprocessing`: as in the product, each is a fork of one process
that has imported everything, which is a second of a core less than a new Python. There is one in a process of tests.
"""

from __future__ import annotations

import multiprocessing
import sys

__all__ = ["CONTEXT", "run_program"]

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.preloaded"])


def run_program(program: str, *words: str) -> int:
    """As `python -c PROGRAM WORDS ...`, run to its end by a process of its own: its exit code, or minus the signal."""
    process = CONTEXT.Process(target=_run, args=(program, words))
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def _run(program: str, words: tuple[str, ...]) -> None:
    sys.argv = ["-c", *words]
    exec(program, {"__name__": "__main__"})
