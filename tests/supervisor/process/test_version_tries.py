"""A version that cannot be applied at the moment is tried again by itself; one that cannot be used is not."""

from __future__ import annotations

from supervisor.process.version_tries import AGAIN_S, Unusable, VersionTries


def test_what_passes_is_tried_again_and_told_once() -> None:
    tries = VersionTries()
    assert tries.is_due(2, "10:00", 1, 0.0)
    assert tries.refused(2, "10:00", ValueError("alice does not answer"), 0.0)
    assert tries.version == 2
    assert not tries.is_due(2, "10:00", 1, AGAIN_S - 1)
    assert tries.is_due(2, "10:00", 1, AGAIN_S)
    assert not tries.refused(2, "10:00", ValueError("the position of 0.3 would stay"), AGAIN_S)
    assert tries.is_due(3, "10:01", 1, AGAIN_S), "another version"
    tries.applied()
    assert (tries.version, tries.is_due(2, "10:00", 2, 1e9)) == (0, False)


def test_what_cannot_be_used_waits_for_an_operator() -> None:
    tries = VersionTries()
    assert tries.refused(2, "10:00", Unusable("no such key"), 0.0)
    assert not tries.is_due(2, "10:00", 1, 1e9)
    assert tries.is_due(2, "10:30", 1, 0.0), "put in force once more"
    assert tries.refused(2, "10:30", Unusable("no such key"), 0.0)
