"""How many examples hypothesis draws. A test says its usual number; `GRIDBOT_EXAMPLES` scales all of them, 40 is once.

`bin/test` draws seven tenths, others each time; `bin/test --long` many more, `python -m tests.house.mutation` few.
"""

from __future__ import annotations

import os

USUAL = 40
SHORT = 28
"""Where nothing is said: the suite has to be quick, and draws other examples each time."""


def examples(usual: int) -> int:
    """`usual` examples, scaled; at least one."""
    return max(1, usual * int(os.environ.get("GRIDBOT_EXAMPLES", SHORT)) // USUAL)
