"""`ig gpu`: whether this machine's GPU trains, with what, and how fast; compiles gsplat's kernels beforehand."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import typer

from ig_ros.cli.app import AsJson, Exit, app, console, examples, print_json
from ig_ros.cli.output import busy, print_figures

STEPS = 100  # that are timed; half as many before them fill caches and place anchors
NVCC = re.compile(r"release (\d+\.\d+)")


@app.command("gpu", epilog=examples("ig gpu", "ig gpu --json"))
def gpu_command(as_json: AsJson = False) -> None:
    """Check driver, torch, nvcc and gsplat, compile gsplat's kernels (minutes, once) and train for a moment.

    Run it before the node: a node that has to compile starts minutes late. Exit code 1, with what to do, where the GPU
    cannot be used.
    """
    figures = versions()
    with busy("compiling gsplat's kernels where that has not been done, drawing a picture"):
        problem = _problem(figures)
    if not problem:
        figures |= speed()
    if as_json:
        print_json(figures | {"problem": problem})
    else:
        print_figures("GPU", figures)
        if problem:
            console.print(f"[red]the GPU cannot be used:[/red] {problem}", highlight=False, soft_wrap=True)
    raise typer.Exit(Exit.NO if problem else Exit.OK)


def versions() -> dict[str, Any]:
    """What is installed: driver, torch and the CUDA it was built with, nvcc, gsplat; "none" for what is missing."""
    from importlib.metadata import PackageNotFoundError, version

    import torch
    from torch.utils.cpp_extension import CUDA_HOME

    try:
        gsplat = version("gsplat")
    except PackageNotFoundError:
        gsplat = "none"
    driver = Path("/proc/driver/nvidia/version")
    found = re.search(r"  (\d+\.[\d.]+) ", driver.read_text()) if driver.is_file() else None
    figures = {
        "driver": found[1] if found else "none",
        "torch": torch.__version__,
        "CUDA of torch": torch.version.cuda or "none",
        "nvcc": nvcc_version(Path(CUDA_HOME) / "bin" / "nvcc" if CUDA_HOME else Path("nvcc")),
        "gsplat": gsplat,
    }
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        capability = f"{about.major}.{about.minor}"
        figures |= {"GPU": about.name, "capability": capability, "memory MB": about.total_memory // 2**20}
    return figures


def nvcc_version(compiler: Path) -> str:
    """The CUDA version of a compiler, "none" where it does not run."""
    try:
        said = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "none"
    release = NVCC.search(said)
    return release[1] if release else "none"


def _problem(figures: dict[str, Any]) -> str:
    """What keeps the GPU from being used; an nvcc that does not fit is named before it fails in the middle."""
    from ig_ros.raster import gpu_problem

    problem = gpu_problem()
    ours, theirs = figures["CUDA of torch"], figures["nvcc"]
    if problem and "none" not in (ours, theirs) and ours.split(".")[0] != theirs.split(".")[0]:
        return f"nvcc is of CUDA {theirs}, torch was built with {ours}: install the toolkit of CUDA {ours} ({problem})"
    return problem


def speed() -> dict[str, Any]:
    """Training steps a second on a simulated room at 640 px, and the memory they take."""
    import torch

    from ig_ros.config import Config
    from ig_ros.datasets import open_dataset
    from ig_ros.mapper import Mapper

    settings = {"device": "cuda", "language.encoder": "none", "input.max_width": 640}
    mapper, room = Mapper(Config.from_dict(settings)), open_dataset("sim:room?width=640")
    with busy("mapping a simulated room"):
        for i in range(0, len(room), len(room) // 10):
            mapper.add_frame(room[i])
        for step in range(STEPS + STEPS // 2):
            if step == STEPS // 2:
                torch.cuda.synchronize()
                begin = time.perf_counter()
            mapper.train_step()
        torch.cuda.synchronize()
    rate = STEPS / (time.perf_counter() - begin)
    memory = torch.cuda.max_memory_allocated() // 2**20
    return {"training steps per second": round(rate, 1), "memory in use MB": memory}
