"""Jobs on several cores: worker processes of one thread each, the longest job first, results as files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.quality.plan import Job

ROOT = Path(__file__).resolve().parents[2]
JUDGING = (
    "ceiling",
    "naming",
    "plan",
    "onto_cloud",
    "run",
    "scoring",
    "structure",
    "sweeps",
    "views",
)  # files of this folder figures depend on
DONE, FAILED = "done", "failed"


def code_version() -> str:
    """Fingerprint of every source a figure depends on; tables may be laid out anew without running anything again."""
    sources = [p for suffix in ("*.py", "*.cpp", "*.h") for p in (ROOT / "ig_ros").rglob(suffix)]
    sources += [Path(__file__).with_name(f"{name}.py") for name in JUDGING]
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def result_path(folder: Path, job: Job) -> Path:
    """Where a job's figures go."""
    return folder / "jobs" / f"{job.key}.json"


def is_done(folder: Path, job: Job, code: str) -> bool:
    """Whether the job has succeeded before, with the same code and settings."""
    path = result_path(folder, job)
    if not path.is_file():
        return False
    old = json.loads(path.read_text())
    return bool(old["status"] == DONE and old["code"] == code and old["job"] == as_json(job))


def as_json(job: Job) -> dict[str, Any]:
    """The job as it comes back from a JSON file."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(job)))
    return values


def run_and_store(job: Job, folder: Path, code: str) -> dict[str, Any]:
    """Run a job in this process and write its file; an error becomes one line in it, its traceback goes to stderr."""
    import traceback

    from benchmarks.quality.run import run_job  # torch loads in the worker, not in the process that waits

    begin = time.perf_counter()
    try:
        result = {"status": DONE} | run_job(job, folder / "pictures")
    except Exception as error:  # one scene that fails must not end the hour; it is counted in the report
        traceback.print_exc(file=sys.stderr)
        result = {"status": FAILED, "error": f"{type(error).__name__}: {error}".splitlines()[0]}
    return store(folder, job, code, result, time.perf_counter() - begin)


def store(folder: Path, job: Job, code: str, result: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Write the file of a job; returns what was written."""
    path = result_path(folder, job)
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"job": as_json(job), "code": code, "wall_seconds": round(seconds, 1), **result}
    path.write_text(json.dumps(entry, indent=1))
    return entry


def run_all(
    jobs: Sequence[Job], folder: Path, code: str, workers: int, report: Callable[[Job, dict[str, Any]], None]
) -> None:
    """Run all jobs on `workers` processes, longest first; `report` is called after each, from one thread at a time."""
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers before they load torch
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in sorted(jobs, key=lambda j: -j.effort):
        waiting.put(job)
    lock = threading.Lock()

    def serve() -> None:
        """Feeds one worker process; a process that dies (memory) costs its job only."""
        pool = ProcessPoolExecutor(1, get_context("spawn"))
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                pool.shutdown()
                return
            begin = time.perf_counter()
            try:
                result = pool.submit(run_and_store, job, folder, code).result()
            except BrokenProcessPool as error:
                failure = {"status": FAILED, "error": f"the worker process died: {error}"}
                result = store(folder, job, code, failure, time.perf_counter() - begin)
                pool = ProcessPoolExecutor(1, get_context("spawn"))
            with lock:
                report(job, result)

    threads = [threading.Thread(target=serve) for _ in range(min(workers, max(1, len(jobs))))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
