"""Labels that number groups of points: their order, their rows, and work on every group."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from scipy.sparse import csr_matrix

from ig_ros.types import IntArray

T = TypeVar("T")


def map_groups(work: Callable[[IntArray], T], labels: IntArray, size: int) -> list[T]:
    """Returns what `work` finds for the rows of every group from 0 to below size, on several threads.

    labels (N,) is the group of each row, -1 = none.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(work, rows_of(labels, size)))


def in_order(labels: IntArray) -> IntArray:
    """(N,) labels, not far below 0 nor above N, numbered from 0 in the order of their first point."""
    low = int(labels.min(initial=0))
    n, size = len(labels), int(labels.max(initial=-1)) + 1 - low
    first = np.full(size, n)
    first[labels[::-1] - low] = np.arange(n)[::-1]  # of equal places the last one written stays: the first point
    found = np.flatnonzero(first < n)
    number = np.zeros(size, np.int64)
    number[found[np.argsort(first[found])]] = np.arange(len(found))
    ordered: IntArray = number[labels - low]
    return ordered


def rows_of(labels: IntArray, size: int) -> list[IntArray]:
    """For every label from 0 to below size the rows of labels (N,) that bear it, ascending; -1 = none."""
    own = np.flatnonzero(labels >= 0)
    ones = np.ones(len(own), np.int8)
    by_label = csr_matrix((ones, (labels[own], own)), shape=(size, len(labels)))  # counts: faster than sorting
    return list(np.split(by_label.indices, by_label.indptr[1:-1])) if size else []
