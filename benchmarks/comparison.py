"""How long two sides of many rows take to be compared, and how much memory: `compare shadow` without reading them.

    bin/bench comparison [--rows N] [--memory 512MB] [--json]

One side has N rows (orders, cancels, fills) over 200 levels, ten a second; the other the same up to 3 s later, of which
one in 50 has another price, one in 40 another size, and one in 100 is missing. `cpu_s` is of this process, DuckDB's
threads included; `peak_mb` the most memory it ever had.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from gridbot.compare.comparison import Source, compare, working
from gridbot.compare.tolerances import Reach, Tolerance

HERE = """
    CREATE TABLE here AS SELECT CASE i % 10 WHEN 0 THEN 'cancel' WHEN 5 THEN 'fill' ELSE 'place' END AS what,
        'BTCUSDT' AS symbol, CASE WHEN i % 3 = 0 THEN 'long' ELSE 'short' END AS direction,
        CASE WHEN hash(i) % 2 = 0 THEN 'Buy' ELSE 'Sell' END AS side,
        CAST(60000 + (hash(i + 7) % 200) * 12 AS DECIMAL(38, 12)) AS price, 1700000000000 + i * 100 AS at_ms,
        CAST(0.001 AS DECIMAL(38, 12)) AS qty, '' AS reason, 'x' || i AS id, CAST(0 AS DECIMAL(38, 12)) AS fee,
        CAST(0 AS DECIMAL(38, 12)) AS realised_pnl
    FROM range({rows}) AS numbers(i)"""
THERE = """
    CREATE TABLE there AS SELECT * REPLACE (
        CASE WHEN hash(at_ms) % 50 = 0 THEN price + 0.1 ELSE price END AS price,
        at_ms + CAST(hash(id) % 3000 AS BIGINT) AS at_ms, CASE WHEN hash(id) % 40 = 0 THEN qty * 2 ELSE qty END AS qty)
    FROM here WHERE hash(id || 'missing') % 100 > 0"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench comparison", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of one side")
    parser.add_argument("--memory", default="512MB", help="DuckDB's limit")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridbot-bench-") as temporary:
        directory = Path(temporary)
        with working(directory, options.memory) as con:
            con.execute(HERE.format(rows=options.rows))
            con.execute(THERE)
            wall, cpu = time.perf_counter(), time.process_time()
            sources = (Source("FROM here"), Source("FROM there"))
            outcome = compare(con, directory, sources, {"BTCUSDT": Decimal("0.1")}, Tolerance(), Reach())
            figures = {
                "rows": options.rows,
                "wall_s": round(time.perf_counter() - wall, 2),
                "cpu_s": round(time.process_time() - cpu, 2),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "differing": outcome.differing,
            }
    if options.json:
        print(json.dumps(figures))
    else:
        print("  ".join(f"{name} {value:,}" for name, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
