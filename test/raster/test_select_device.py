"""Which device is taken: a GPU only after gsplat has drawn a picture on it, and otherwise a reason with the remedy."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from reference import gsplat_host
from reference.pretended_device import pretended_gpu

from ig_ros.errors import RasterError
from ig_ros.raster import device_name, rasterizer, select_device


def without_gsplat(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "gsplat", None)


def without_nvcc(patch: pytest.MonkeyPatch) -> None:
    backend = ModuleType("gsplat.cuda._backend")
    backend._C = None  # type: ignore[attr-defined]
    patch.setitem(sys.modules, backend.__name__, backend)


def failing(error: Exception) -> Callable[[pytest.MonkeyPatch], None]:
    def fail(*_: Any) -> None:
        raise error

    return lambda patch: patch.setattr(sys.modules["gsplat.cuda._backend"]._C, "intersect_tile", fail)


def drawing_black(patch: pytest.MonkeyPatch) -> None:
    compiled, right = sys.modules["gsplat.cuda._backend"]._C, gsplat_host.rasterize_to_pixels_3dgs_fwd
    assert right

    def black(*arguments: Any) -> Any:
        image, alpha, last = compiled.right(*arguments)
        return image * 0, alpha * 0, last

    patch.setattr(compiled, "right", compiled.rasterize_to_pixels_3dgs_fwd, raising=False)
    patch.setattr(compiled, "rasterize_to_pixels_3dgs_fwd", black)


MISMATCH = RuntimeError(
    "The detected CUDA version (13.0)\nmismatches the version that was used to compile PyTorch (12.8)"
)
CASES = {
    "no gsplat": (without_gsplat, "gsplat is not installed"),
    "no nvcc": (without_nvcc, "no nvcc .* install the CUDA 13.0 toolkit"),
    "wrong nvcc": (failing(MISMATCH), r"The detected CUDA version \(13.0\) mismatches"),
    "out of memory": (failing(torch.OutOfMemoryError("CUDA out of memory")), "out of memory"),
    "a wrong picture": (drawing_black, "gsplat draws a wrong picture on cuda .a pretended GPU."),
}


def test_a_gpu_that_draws_is_taken() -> None:
    with pretended_gpu():
        for name in ("auto", "cuda"):
            device = select_device(name)
            assert device.type == "cuda"
        assert device_name(device) == "cuda (a pretended GPU)"
        assert select_device("cpu").type == "cpu"


@pytest.mark.parametrize("case", CASES)
def test_a_gpu_that_does_not_draw_is_refused_or_replaced_with_the_reason(
    case: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, reason = CASES[case]
    monkeypatch.setattr(rasterizer, "GPU_NODES", ("/dev/null",))  # a device file is there, as on any machine with a GPU
    with pretended_gpu():
        spoil(monkeypatch)
        with pytest.raises(RasterError, match=f"device is 'cuda', but .*{reason}.*set device to cpu"):
            select_device("cuda")
        with caplog.at_level(logging.WARNING):
            assert select_device("auto").type == "cpu"
    assert len([r for r in caplog.records if "GPU is not used" in r.message]) == 1
    monkeypatch.undo()


@pytest.mark.skipif(torch.version.cuda is not None, reason="torch has CUDA")
def test_a_torch_without_cuda(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RasterError, match="built without CUDA: install torch for CUDA"):
        select_device("cuda")
    monkeypatch.setattr(rasterizer, "GPU_NODES", ())
    assert select_device("auto").type == "cpu"
    assert not caplog.records, "a machine without a GPU is not warned about one"


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RasterError, match="no CUDA GPU: `nvidia-smi` tells"):
        select_device("cuda")
