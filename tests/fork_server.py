"""The fork server for tests that start processes by `multiprocessing`: as in the product, each is a fork of one process
that has imported everything, which is a second of a core less than a new Python. There is one in a process of tests.
"""

from __future__ import annotations

import multiprocessing

__all__ = ["CONTEXT"]

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.preloaded"])
