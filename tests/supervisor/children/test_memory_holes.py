"""What a child makes does not land on pages of its fork server: a real process with holes in its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys
made = [bytes(size) for size in (15, 31, 95, 300, 700, 3000) for _ in range(4000)]
stay = made[::2]
del made
if sys.argv[1] == "filled":
    from supervisor.children.memory_holes import fill_holes
    kept = fill_holes()
old = {page for each in stay for page in range(id(each) >> 12, (id(each) + len(each) >> 12) + 1)}
new = {size: [bytes(size) for _ in range(200)] for size in (15, 31, 95, 300, 700, 3000)}
print(json.dumps({size: sum(id(each) >> 12 in old for each in some) for size, some in new.items()}))
"""


def among_old_ones(how: str) -> dict[str, int]:
    """How many of 200 new objects of each size are on a page with an old one."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_new_objects_are_apart_from_old_ones() -> None:
    assert all(count > 150 for count in among_old_ones("with holes").values()), "else this test shows nothing"
    assert all(count <= 4 for count in among_old_ones("filled").values())


@pytest.mark.parametrize("most", [0, 1])
def test_a_memory_that_is_laid_out_in_another_way_costs_little(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from supervisor.children import memory_holes

    monkeypatch.setattr(memory_holes, "_MOST", most)
    assert len(memory_holes.fill_holes()) < 200


def test_in_a_memory_without_pools_nothing_is_filled() -> None:
    """With PYTHONDEVMODE every process took 400 MB for it."""
    program = "from supervisor.children.memory_holes import fill_holes; print(len(fill_holes()))"
    environment = os.environ | {"PYTHONDEVMODE": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout == "0\n"


READS = """
import resource, socket, sys
ours, theirs = socket.socketpair()
if sys.argv[1] == "kept":
    from supervisor.children.memory_holes import keep_reads_in_heap
    keep_reads_in_heap()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(500):
    ours.send(b"x")
    theirs.recv(256 * 1024)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_a_read_of_a_socket_takes_no_new_pages() -> None:
    """A page fault with each read cost ten times the read."""
    faults = {}
    for how in ("at first", "kept"):
        done = subprocess.run([sys.executable, "-c", READS, how], capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults["at first"] >= 500, "else this test shows nothing: another allocator than glibc's?"
    assert faults["kept"] < 250
