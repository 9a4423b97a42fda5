"""The kernels compiled for aarch64 (Jetson, Raspberry Pi) and emulated, against this processor's own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from reference.raster_scenes import camera, leaves, pose, room

from ig_ros.raster import ScreenStats, cpu_backend, library
from ig_ros.raster.library import FOLDER
from ig_ros.raster.losses import image_loss_gradient
from ig_ros.raster.request import make_request

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fopenmp",
    "-Wno-psabi",
    "-static",
]
CHANNELS, WIDTH, HEIGHT, GATED = 9, 53, 37, slice(3, 9)

pytestmark = pytest.mark.skipif(
    not (shutil.which(COMPILER) and shutil.which(EMULATOR)),
    reason=f"needs {COMPILER} and {EMULATOR} (Debian: g++-aarch64-linux-gnu, qemu-user-static)",
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """foreign_driver.cpp with all kernels, built as CMake builds them where there is no x86-64."""
    program = tmp_path_factory.mktemp("aarch64") / "driver"
    sources = [*sorted((FOLDER / "native").glob("*.cpp")), Path(__file__).with_name("foreign_driver.cpp")]
    command = [COMPILER, *FLAGS, f"-I{FOLDER / 'native'}", *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True, timeout=300)
    return program


def test_render_gradients_and_image_loss_are_those_of_x86(driver: Path, tmp_path: Path) -> None:
    n, random = 400, torch.Generator().manual_seed(3)
    own, T, view, screen = leaves(room(n, CHANNELS, seed=4, size=2.0)), pose(), camera(WIDTH, HEIGHT), ScreenStats()
    gate = torch.rand(n, generator=random)
    request = make_request(own, T, view, 0.05, GATED, gate)
    result = cpu_backend.render(request, screen)
    images = (result.features, result.depth, result.alpha)
    upstream = [torch.randn(image.shape, generator=random) for image in images]
    target = torch.rand(HEIGHT, WIDTH, 3, generator=random)
    gradient = torch.empty(HEIGHT, WIDTH, 3)
    loss = image_loss_gradient(library.load(), result.features[..., :3], target, 0.2, gradient)
    torch.autograd.backward(images, upstream)

    K = view.K
    numbers = [*request.world_to_camera[:3].flatten().tolist(), K[0, 0], K[1, 1], K[0, 2], K[1, 2], request.near]
    tensors = (own.means, own.quats, own.scales, own.opacities, own.features)
    every = (torch.tensor([*numbers, request.max_alpha]), *tensors, gate, *upstream, target)
    sizes = np.array([n, CHANNELS, GATED.start, GATED.stop, WIDTH, HEIGHT], np.int32)
    given, found = tmp_path / "in", tmp_path / "out"
    given.write_bytes(sizes.tobytes() + b"".join(t.detach().float().numpy().tobytes() for t in every))
    subprocess.run([EMULATOR, str(driver), str(given), str(found)], check=True, timeout=120)

    values = np.fromfile(found, np.float32)
    assert values[-1] == 4, "lanes of NEON"
    expected = [*images, *(t.grad for t in tensors), screen.gradient, gradient, torch.tensor(loss)]
    for number, tensor in enumerate(expected):
        want = tensor.detach().numpy().ravel()
        part, values = values[: want.size], values[want.size :]
        error = np.linalg.norm(part - want) / np.linalg.norm(want)
        assert error < 1e-4, f"array {number}: relative error {error:.1e}"
    assert len(values) == 1
