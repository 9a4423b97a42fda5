"""Which ids occur, by the table and by sorting: as numpy has it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ig_ros.raster.counting import MANY, unique_ids


@pytest.mark.parametrize("top", [9, 2 * MANY], ids=("table", "sorted"))
@given(data=st.data())
def test_it_is_numpys_unique(top: int, data: st.DataObject) -> None:
    ids = data.draw(arrays(np.int32, st.integers(0, 40), elements=st.integers(-top, top)))
    found, place, count = unique_ids(ids)
    expected, inverse, often = np.unique(ids, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(place, inverse)
    np.testing.assert_array_equal(count, often)
