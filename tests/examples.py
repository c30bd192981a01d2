"""How many examples hypothesis draws. A test says its usual number; `GRIDBOT_EXAMPLES` scales all of them, 40 is once.

`bin/test --long` draws many more, `python -m tests.house.mutation` far fewer.
"""

from __future__ import annotations

import os

USUAL = 40


def examples(usual: int) -> int:
    """`usual` examples, scaled; at least one."""
    return max(1, usual * int(os.environ.get("GRIDBOT_EXAMPLES", USUAL)) // USUAL)
