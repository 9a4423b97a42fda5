"""Makes an installed torchvision importable beside a torch build that its compiled operators do not match.

PyPI's torchvision is compiled for PyPI's CUDA torch. Beside a CPU torch its operators do not load, and importing it
then fails half-way on the first of them ("operator torchvision::nms does not exist"), and with it open_clip, timm and
sentence_transformers. Nothing here uses these operators, so they are declared without a kernel: imports work, and a
call of torchvision.ops.nms would say that it has no kernel.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

import torch

SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
OPERATORS = ("nms", "qnms")  # those that torchvision describes at import whether or not they are there
_declared: list[torch.library.Library] = []  # a declaration lives as long as its library object


def repair_torchvision() -> bool:
    """Import torchvision, where need be with its operators declared; False if it is not installed."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        forget("torchvision")
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in OPERATORS:
            library.define(name + SIGNATURE)  # type: ignore[no-untyped-call]
        _declared.append(library)
        importlib.import_module("torchvision")
    return True


def forget(package: str) -> None:
    """Drop a half-imported package so that it can be imported again."""
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        del sys.modules[name]
