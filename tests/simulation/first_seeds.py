"""`python -m tests.simulation.first_seeds [NAME ...]`: the seed that finds each fix that is taken out, today.

Any change of the program gives a seed another run. When a search of `test_seeds_find_a_fix_that_is_taken_out` has to
try many seeds, the suite is long for nothing: write the seed that is printed here into `gridbot/simulation/reverts.py`.
"""

from __future__ import annotations

import sys

from gridbot.simulation.reverts import REVERTS
from tests.simulation.test_simulated_runs import found_by

if __name__ == "__main__":
    for name in sys.argv[1:] or [name for name, fix in REVERTS.items() if not fix.is_slow]:
        fix = REVERTS[name]
        seed = found_by(set(fix.finds), fix.seed, fix.minutes, (name,), dense=fix.dense)
        print(f"{name}: {fix.seed}{'' if seed == fix.seed else f' -> {seed}'}", flush=True)
