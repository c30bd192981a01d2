"""The face of the core."""

from __future__ import annotations

import gridbot.core


def test_everything_public_is_exported_and_documented():
    for name in gridbot.core.__all__:
        assert hasattr(gridbot.core, name)
    public = [getattr(gridbot.core, name) for name in gridbot.core.__all__]
    undocumented = [x.__name__ for x in public if hasattr(x, "__name__") and not (x.__doc__ or "").strip()]
    assert undocumented == []
