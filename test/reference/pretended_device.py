"""A CUDA device that is pretended: tensors say they are on it, keep their values on the host, and give them out as
a GPU does: copied by .cpu(), never by .numpy() or an address, and never mixed with host tensors.

What a step costs on a GPU besides arithmetic is counted: operators, host synchronisations, copies to and from it.
"""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import open3d  # noqa: F401  # before anything is pretended: what it loads depends on the GPU
import torch
import torch._dynamo  # too
from reference.gsplat_host import host_kernels
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda", 0)
VIEWS = frozenset(
    [
        "view",
        "_unsafe_view",
        "expand",
        "select",
        "slice",
        "t",
        "transpose",
        "permute",
        "unsqueeze",
        "squeeze",
        "unbind",
        "split",
        "as_strided",
        "alias",
        "detach",
        "unfold",
        "_reshape_alias",
        "diagonal",
        "split_with_sizes",
        "lift_fresh",
        "narrow",
    ]
)  # no kernel is launched for these
SYNCING = frozenset(
    [
        "nonzero",
        "_local_scalar_dense",
        "masked_select",
        "_unique2",
        "unique_dim",
        "unique_consecutive",
        "bincount",
        "equal",
        "repeat_interleave",
    ]
)  # the host waits for their result
INDEXING = frozenset(["index", "index_put_", "_index_put_impl_", "index_put", "_unsafe_index"])  # take host indices too
MAKING = frozenset(
    ["as_tensor", "tensor", "zeros", "ones", "empty", "full", "arange", "eye", "rand", "randn", "linspace", "randint"]
)
LIKE = frozenset(["zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"])


class Cost:
    """What has been done on the device."""

    def __init__(self) -> None:
        self.operators: Counter[str] = Counter()
        self.syncs: Counter[str] = Counter()  # what, where
        self.uploads: Counter[str] = Counter()  # where

    def clear(self) -> None:
        for counter in (self.operators, self.syncs, self.uploads):
            counter.clear()


COST = Cost()


def where() -> str:
    """The line of this package or of gsplat that is being run."""
    for frame in reversed(traceback.extract_stack(limit=60)):
        for package in ("/ig_ros/", "/gsplat/"):
            if package in frame.filename:
                return f"{frame.filename.rsplit(package, 1)[1]}:{frame.lineno}"
    return "elsewhere"


class Pretended(torch.Tensor):
    """A tensor on the pretended device."""

    elem: torch.Tensor

    @staticmethod
    def __new__(cls, elem: torch.Tensor, requires_grad: bool = False) -> Pretended:
        made: Pretended = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, elem.size(), strides=elem.stride(), storage_offset=elem.storage_offset(), dtype=elem.dtype,
            layout=elem.layout, device="meta", requires_grad=requires_grad,
        )  # fmt: skip
        made.elem = elem
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    def __repr__(self, *_: Any, **__: Any) -> str:  # type: ignore[override]
        return f"Pretended({self.elem!r})"

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"can't convert cuda:0 device type tensor to numpy: use Tensor.cpu() first [{where()}]")

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        COST.syncs[f"tolist {where()}"] += 1
        return self.detach().elem.tolist()

    def data_ptr(self) -> int:
        raise AssertionError(f"the address of GPU memory was taken [{where()}]")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func._schema.name.split("::")[1], dict(kwargs or {})
        if func is torch.ops.prim.device.default:
            return CUDA
        args, kwargs = tree_map(_filled, (args, kwargs))
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        here = [x for x in tensors if not isinstance(x, Pretended)]
        if name == "copy_" and isinstance(args[0], Pretended) != isinstance(args[1], Pretended):
            return _copied(*args[:2])
        if any(x.dim() for x in here):
            if name not in INDEXING:
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found cuda:0 and cpu [{where()}]"
                )
            COST.uploads[where()] += 1
        _count(name, args)
        to_host = name == "_to_copy" and torch.device(kwargs.get("device") or CUDA).type == "cpu"
        kwargs = {key: torch.device("cpu") if key == "device" else value for key, value in kwargs.items()}
        kwargs.pop("pin_memory", None)
        result = func(*tree_map(_value, args), **tree_map(_value, kwargs))
        if to_host:
            COST.syncs[f"to the host {where()}"] += 1
            return result.clone()
        if func._schema.is_mutable and isinstance(result, torch.Tensor):
            return next(x for x in args if isinstance(x, Pretended) and x.elem is result)
        return tree_map(lambda x: Pretended(x) if isinstance(x, torch.Tensor) else x, result)


def _filled(x: Any) -> Any:
    """Autograd makes gradients of zeros on the device that the wrapper names to it: `meta`."""
    strange = isinstance(x, torch.Tensor) and not isinstance(x, Pretended) and x.device.type == "meta"
    return Pretended(torch.zeros(x.shape, dtype=x.dtype)) if strange else x


def _value(x: Any) -> Any:
    return x.elem if isinstance(x, Pretended) else x


def _copied(target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    counter = COST.uploads if isinstance(target, Pretended) else COST.syncs
    counter[where()] += 1
    _value(target).copy_(_value(source))
    return target


def _count(name: str, args: Any) -> None:
    if name in INDEXING:
        masks = [
            x for x in tree_leaves(args[1]) if isinstance(x, torch.Tensor) and x.dtype in (torch.bool, torch.uint8)
        ]
        filled = name != "index" and isinstance(args[2], torch.Tensor) and args[2].numel() == 1
        if masks and not filled:  # a boolean index is a nonzero
            COST.syncs[f"boolean index {where()}"] += len(masks)
    if name in SYNCING:
        COST.syncs[f"{name} {where()}"] += 1
    if name not in VIEWS:
        COST.operators[name] += 1


def uploaded(x: torch.Tensor) -> torch.Tensor:
    """A host tensor, copied to the device."""
    COST.uploads[where()] += 1
    made = Pretended(x.detach().clone())
    if isinstance(x, torch.nn.Parameter):
        return torch.nn.Parameter(made, x.requires_grad)
    return made.requires_grad_(x.requires_grad and x.is_leaf)


def _is_cuda(device: Any) -> bool:
    return isinstance(device, torch.device | str) and torch.device(device).type == "cuda"


class _Functions(TorchFunctionMode):
    """Calls that name a device, or make tensors there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        moved = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if name == "to" and moved is not None:
            return self._moved(func, moved, args[1:], kwargs)
        if name == "cuda" and moved is not None:
            return moved if isinstance(moved, Pretended) else uploaded(moved)
        on_device = any(isinstance(a, Pretended) for a in args)
        if name == "__setitem__" and on_device and isinstance(args[2], int | float):
            return func(args[0], args[1], Pretended(torch.tensor(args[2], dtype=args[0].dtype)))
        if name == "where" and on_device and len(args) == 3:
            dtype = next((a.dtype for a in args[1:] if isinstance(a, torch.Tensor)), torch.float32)
            values = [a if isinstance(a, torch.Tensor) else Pretended(torch.tensor(a, dtype=dtype)) for a in args[1:]]
            return func(args[0], *values)
        if name == "new_tensor" and isinstance(moved, Pretended):
            return uploaded(torch.tensor(args[1], dtype=kwargs.get("dtype") or moved.dtype))
        if name in MAKING | LIKE and _is_cuda(kwargs.get("device")):
            return self._made(func, name, args, {k: v for k, v in kwargs.items() if k != "device"})
        return func(*args, **kwargs)

    @staticmethod
    def _made(func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        if args and isinstance(args[0], Pretended):
            return func(*args, **kwargs)
        if name in ("as_tensor", "tensor"):
            return uploaded(func(*args, **kwargs))
        COST.operators[name] += 1
        return Pretended(func(*args, **kwargs))

    @staticmethod
    def _moved(func: Any, x: torch.Tensor, rest: Any, kwargs: dict[str, Any]) -> torch.Tensor:
        given = [*rest, *kwargs.values()]
        like = next((g for g in given if isinstance(g, torch.Tensor)), None)
        device = (
            like.device if like is not None else next((g for g in given if isinstance(g, torch.device | str)), None)
        )
        dtype = like.dtype if like is not None else next((g for g in given if isinstance(g, torch.dtype)), x.dtype)
        if device is not None and not _is_cuda(device) and isinstance(x, Pretended):
            x = x.cpu()
        if x.dtype != dtype:
            x = func(x, dtype)
        return uploaded(x) if _is_cuda(device) and not isinstance(x, Pretended) else x


def _on_host(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of gsplat that takes tensors of the device and returns such."""

    def call(*arguments: Any) -> Any:
        COST.operators[function.__name__] += 1
        result = function(*tree_map(lambda x: _value(_filled(x)), arguments))
        return tree_map(lambda x: Pretended(x) if isinstance(x, torch.Tensor) else x, result)

    return call


def _run(thread: threading.Thread) -> None:
    with _Functions():  # a mode holds for one thread
        RUN(thread)


RUN = threading.Thread.run


@contextmanager
def pretended_gpu() -> Iterator[Cost]:
    """Torch sees a GPU, gsplat runs on it, everything is counted while the context lasts."""
    torch._C._ensureCUDADeviceGuardSet()
    about = SimpleNamespace(name="a pretended GPU", major=8, minor=7, total_memory=8 << 30)
    answers = {
        "is_available": True, "synchronize": None, "empty_cache": None, "max_memory_allocated": 0,
        "get_device_name": about.name, "get_device_properties": about, "get_device_capability": (8, 7),
    }  # fmt: skip
    COST.clear()
    with ExitStack() as stack:
        stack.enter_context(patch.object(torch.version, "cuda", "13.0"))
        for name, answer in answers.items():
            stack.enter_context(patch.object(torch.cuda, name, lambda *_, answer=answer: answer))
        stack.enter_context(host_kernels(_on_host))
        stack.enter_context(patch.object(threading.Thread, "run", _run))
        stack.enter_context(_Functions())
        yield COST
