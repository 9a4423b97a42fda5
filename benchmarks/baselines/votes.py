"""Who has most votes, row by row of a sparse matrix; scipy's own argmax asks row after row in Python."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from ig_ros.instances.voting import winners
from ig_ros.types import IntArray

NONE = -1


def most_voted(votes: csr_matrix) -> IntArray:
    """(N,) column with the largest entry of each row of votes (N, M), all above 0; the first of equals, NONE = empty.

    The matrix is left with duplicates summed and no zeros stored.
    """
    votes.sum_duplicates()
    votes.eliminate_zeros()
    filled = np.flatnonzero(np.diff(votes.indptr))
    best = np.full(votes.shape[0], NONE, np.int64)
    best[filled], _ = winners(votes[filled])
    return best
