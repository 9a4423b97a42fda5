"""Real and perturbed scenes: prints tables, writes docs/reality.md, its pictures, out/reality.json, and a file per row
in out/reality/rows/.

    python -m benchmarks.reality [--quick] [--resume] [--only kitchen|tabletops|perturbations]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from benchmarks.quality.pool import FAILED, ROOT
from benchmarks.reality.page import load, write_page
from benchmarks.reality.rows import KITCHEN, PERTURBED, TABLETOPS, is_done, path_of, plan, version
from benchmarks.reality.running import run_and_store


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 when every row has figures."""
    options = parse(arguments)
    rows, code = plan(options.quick, options.only, options.steps), version()
    todo = [] if options.report else [r for r in rows if not (options.resume and is_done(r, options.out, code))]
    for row in todo:  # a run that is interrupted must not be taken for complete
        path_of(row, options.out).unlink(missing_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers before they load torch
    begin = time.perf_counter()
    with ProcessPoolExecutor(options.workers, get_context("spawn"), max_tasks_per_child=4) as pool:
        running = {pool.submit(run_and_store, row, options.out, code): row for row in todo}
        for number, future in enumerate(as_completed(running), 1):
            entry, row = future.result(), running[future]
            said = f"FAILED: {entry['error']}" if entry["status"] == FAILED else f"{entry['wall_seconds']:.0f} s"
            minutes = (time.perf_counter() - begin) / 60
            print(f"[{number}/{len(todo)}] {minutes:5.1f} min  {row.key}: {said}", flush=True)
    everything = load(plan(options.quick, None, options.steps), options.out)
    write_page(everything, options.docs, options.out, options.quick)
    missing = [row.key for row in rows if everything.get(row.key, {}).get("status") in (None, FAILED)]
    print(f"{len(rows) - len(missing)} of {len(rows)} rows: {options.docs / 'reality.md'}")
    return int(bool(missing))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; a quick run never overwrites the page."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.reality", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a look at every part, too small to mean anything")
    parser.add_argument("--only", choices=(KITCHEN, TABLETOPS, PERTURBED), help="one part; the others keep their rows")
    parser.add_argument("--resume", action="store_true", help="skip what was run with the same code and settings")
    parser.add_argument("--report", action="store_true", help="run nothing, write the page of what there is")
    parser.add_argument("--steps", type=float, default=1.0, metavar="FACTOR", help="times every training budget")
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--out", type=Path, help="folder of the results; reality.json is written beside it")
    parser.add_argument("--docs", type=Path, help="folder of the page and its pictures")
    options = parser.parse_args(arguments)
    options.out = options.out or ROOT / "out" / ("reality_quick" if options.quick else "reality")
    options.docs = options.docs or (options.out / "docs" if options.quick else ROOT / "docs")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
