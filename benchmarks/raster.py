"""Milliseconds of the CPU rasteriser, forward and forward + backward, beside the tiled torch reference.

    OMP_WAIT_POLICY=passive python benchmarks/raster.py [--threads 2] [--sizes 10000 20000] [--no-reference]

Prints wall time (median) per variant of the library; 9 channels plus depth, 320x240.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

from reference.raster import render_tiled  # noqa: E402
from reference.raster_scenes import camera, leaves, pose, room  # noqa: E402

from ig_ros.raster import ScreenStats, cpu_backend, library  # noqa: E402
from ig_ros.raster.losses import image_loss_gradient, image_loss_torch  # noqa: E402
from ig_ros.raster.request import make_request  # noqa: E402
from ig_ros.types import GaussianBatch, RenderResult  # noqa: E402

WIDTH, HEIGHT, CHANNELS = 320, 240, 9


def milliseconds(function: Callable[[], object], repeats: int) -> float:
    """Median wall time after two warm-up calls (one where a single repeat is asked for)."""
    for _ in range(min(2, repeats)):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def measure(render: Callable[[GaussianBatch], RenderResult], g: GaussianBatch, repeats: int) -> tuple[float, float]:
    """(forward, forward + backward) ms."""
    own = leaves(g)
    upstream = torch.randn(HEIGHT, WIDTH, CHANNELS), torch.randn(HEIGHT, WIDTH), torch.randn(HEIGHT, WIDTH)

    def forward() -> None:
        with torch.no_grad():
            render(g)

    def both() -> None:
        r = render(own)
        torch.autograd.backward((r.features, r.depth, r.alpha), upstream)
        for name in ("means", "quats", "scales", "opacities", "features"):
            getattr(own, name).grad = None

    return milliseconds(forward, repeats), milliseconds(both, repeats)


def bench_raster(sizes: list[int], with_reference: bool) -> None:
    """One line per number of Gaussians and implementation."""
    view, T = camera(WIDTH, HEIGHT), pose()
    for n in sizes:
        g, screen = room(n, CHANNELS), ScreenStats()
        cpu_backend.render(make_request(g, T, view, 0.05, None, None), screen)
        assert screen.visible is not None
        print(f"{n} Gaussians, {int(screen.visible.sum())} visible, {WIDTH}x{HEIGHT}, {CHANNELS} channels + depth")
        gate, slowest = torch.rand(n), None
        if with_reference:
            slowest = measure(lambda own: render_tiled(own, T, view), g, 1)
            print(f"  torch, tiled: forward {slowest[0]:8.1f} ms   forward+backward {slowest[1]:8.1f} ms")
        for variant in library.available_variants():
            lib = library.load(variant)
            plain = measure(
                lambda own, lib=lib: cpu_backend.render(make_request(own, T, view, 0.05, None, None), None, lib), g, 25
            )
            request = (T, view, 0.05, slice(3, 9), gate)
            gated = measure(lambda own, lib=lib, r=request: cpu_backend.render(make_request(own, *r), None, lib), g, 25)
            ratio = f"   {slowest[1] / plain[1]:.0f}x torch" if slowest else ""
            print(f"  {variant:>12}: forward {plain[0]:8.2f} ms   forward+backward {plain[1]:8.2f} ms", end="")
            print(f"   gated {gated[1]:8.2f} ms{ratio}")


def bench_image_loss() -> None:
    """Value and gradient of the image loss."""
    rendered, target = torch.rand(HEIGHT, WIDTH, 3, requires_grad=True), torch.rand(HEIGHT, WIDTH, 3)
    gradient = torch.empty(HEIGHT, WIDTH, 3)
    print(f"image loss, value and gradient, {WIDTH}x{HEIGHT}")
    slow = milliseconds(lambda: image_loss_torch(rendered, target, 0.2).backward(), 10)
    print(f"  torch, separable: {slow:8.2f} ms")
    for variant in library.available_variants():
        lib = library.load(variant)
        ms = milliseconds(lambda lib=lib: image_loss_gradient(lib, rendered, target, 0.2, gradient), 25)
        print(f"  {variant:>16}: {ms:8.2f} ms")


def main() -> None:
    """Parse arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sizes", type=int, nargs="+", default=[10000, 20000])
    parser.add_argument("--no-reference", action="store_true", help="leave the slow tiled torch reference out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads")
    bench_raster(arguments.sizes, not arguments.no_reference)
    bench_image_loss()


if __name__ == "__main__":
    main()
