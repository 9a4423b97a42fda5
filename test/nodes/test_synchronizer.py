"""The waiting line: who leaves when, with what, and why somebody is dropped. Time is a number here."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.config import NodeConfig
from ig_ros.nodes.synchronizer import HEAVY, Synchronizer
from ig_ros.pose_buffer import PoseBuffer

MS = 1_000_000


class Line:
    """A calibrated line that has a pose for every image unless told otherwise."""

    def __init__(self, capacity: int = 30, calibrated: bool = True) -> None:
        self.poses = PoseBuffer(max_gap=0.5)
        self.line = Synchronizer(NodeConfig(queue_size=capacity), self.poses)
        self.line.calibrated = calibrated

    def image(self, ms: int, now: float = 0.0, pose: bool = True) -> None:
        if pose:
            self.poses.add(ms * MS, np.eye(4))
        self.line.add_image(ms * MS, f"image {ms}", now)

    def advance(self, now: float = 0.0) -> tuple[list, list[str]]:
        bundles, problems = self.line.advance(now)
        return [(b.stamp // MS, b.depth, b.masks) for b in bundles], [p.cause for p in problems]


def test_complete_images_leave_at_once_in_order() -> None:
    line = Line()
    line.image(0)
    line.image(33)
    assert line.advance() == ([(0, None, None), (33, None, None)], [])


def test_depth_is_waited_for_once_seen_and_joined_within_the_tolerance() -> None:
    line = Line()
    line.line.add_depth(0, "depth 0", 0.0)
    line.image(15)
    assert line.advance() == ([(15, "depth 0", None)], [])
    line.image(50)
    assert line.advance() == ([], [])
    line.line.add_depth(55 * MS, "depth 55", 0.1)
    assert line.advance() == ([(50, "depth 55", None)], [])


def exact(line: Line, images: int) -> int:
    """Images with depth of their very stamp; when the next one is due (ms)."""
    for i in range(images):
        line.line.add_depth(33 * i * MS, f"depth {i}", 0.0)
        line.image(33 * i)
        assert line.advance()[0] == [(33 * i, f"depth {i}", None)]
    return 33 * images


def test_depth_of_the_next_image_is_not_taken_for_a_lost_one_where_stamps_have_been_equal() -> None:
    line = Line()
    due = exact(line, 12)
    line.image(due, 1.0)
    line.line.add_depth((due + 12) * MS, "depth of the next", 1.0)  # a burst; its image is on its way
    assert line.advance(1.0)[0] == [(due, None, None)]  # its own is lost: that stream has passed it
    line.image(due + 12, 1.0)
    assert line.advance(1.0)[0] == [(due + 12, "depth of the next", None)]


def test_a_sender_whose_stamps_have_not_always_been_equal_may_stamp_apart() -> None:
    line = Line()
    due = exact(line, 5)
    line.line.add_depth((due + 12) * MS, "depth", 1.0)
    line.image(due, 1.0)
    assert line.advance(1.0)[0] == [(due, "depth", None)]


def test_an_image_that_is_looked_at_again_while_it_waits_for_masks_counts_once() -> None:
    line = Line()
    line.line.add_masks(0, "masks 0", 0.0)
    line.line.add_depth(33 * MS, "depth 33", 0.0)
    line.image(33)
    assert all(line.advance(0.1)[0] == [] for _ in range(20))
    assert line.advance(2.5)[0] == [(33, "depth 33", None)]
    line.line.add_depth((66 + 12) * MS, "depth", 8.0)
    line.image(66, 8.0)
    assert line.advance(8.0)[0] == [(66, "depth", None)]


def test_a_sender_that_begins_to_stamp_apart_is_believed_after_some_images() -> None:
    line = Line()
    due, taken = exact(line, 12), []
    for i in range(14):
        line.line.add_depth((due + 33 * i + 5) * MS, i, 1.0)
        line.image(due + 33 * i, 1.0)
        taken += [depth for _, depth, _ in line.advance(1.0 + 0.3)[0]]
    assert taken == [None] * 10 + [10, 11, 12, 13]


def test_depth_that_is_overdue_is_reported_and_the_image_used() -> None:
    line = Line()
    line.line.add_depth(0, "depth 0", 0.0)
    line.image(100)
    assert line.advance(0.1) == ([], [])
    assert line.advance(0.25) == ([(100, None, None)], ["depth_late"])


def test_masks_that_have_passed_the_image_are_not_waited_for() -> None:
    line = Line()
    line.line.add_masks(300 * MS, "masks 300", 0.0)
    line.image(100)
    line.image(300)
    assert line.advance() == ([(100, None, None), (300, None, "masks 300")], [])


def test_a_stream_that_has_died_is_not_waited_for() -> None:
    line = Line()
    line.line.add_masks(0, "masks 0", 0.0)
    line.image(10_000, now=10.0)
    assert line.advance(10.0)[0] == [(10_000, None, None)]


def test_late_pose_is_waited_for_and_a_missing_one_drops_the_image() -> None:
    line = Line()
    line.image(0, pose=False)
    assert line.advance(0.9) == ([], [])
    assert line.advance(1.0) == ([], ["no_pose"])
    line.image(50, now=1.0, pose=False)
    line.poses.add(40 * MS, np.eye(4))
    line.poses.add(60 * MS, np.eye(4))
    assert line.advance(1.1)[0] == [(50, None, None)]


def test_without_calibration_images_are_dropped_after_the_timeout() -> None:
    line = Line(calibrated=False)
    line.image(0)
    assert line.advance(0.5) == ([], [])
    assert line.advance(1.0) == ([], ["no_camera_info"])


@pytest.mark.parametrize("stamp", [0, 33])
def test_older_and_equal_stamps_are_refused(stamp: int) -> None:
    line = Line()
    line.image(33)
    line.image(stamp)
    line.image(66)
    assert line.advance() == ([(33, None, None), (66, None, None)], ["image_out_of_order"])


def test_an_older_image_after_which_nothing_comes_is_refused_after_a_while() -> None:
    line = Line()
    line.image(33)
    line.image(0, 1.0)
    assert line.advance(1.0) == ([(33, None, None)], [])
    assert line.advance(6.1) == ([], ["image_out_of_order"])


def test_a_restarted_clock_is_accepted_after_five_images_in_order_and_none_of_them_is_lost() -> None:
    line = Line()
    line.image(100_000)
    line.line.add_depth(100_000 * MS, "depth before", 0.0)
    assert line.advance() == ([(100_000, "depth before", None)], [])
    for ms in (0, 33, 66, 100):
        line.line.add_depth(ms * MS, f"depth {ms}", 0.0)
        line.image(ms)
        assert line.advance() == ([], [])
    line.line.add_depth(133 * MS, "depth 133", 0.0)
    line.image(133)
    assert line.advance() == ([(ms, f"depth {ms}", None) for ms in (0, 33, 66, 100, 133)], ["clock_back"])


def test_a_clock_that_is_known_to_be_set_back_needs_no_five_images() -> None:
    line = Line()
    line.image(100_000)
    assert line.advance() == ([(100_000, None, None)], [])
    line.image(0)
    line.line.restart(50_000 * MS, 0.0)
    line.image(33)
    assert line.advance() == ([(0, None, None), (33, None, None)], ["clock_back"])
    line.line.restart(50_000 * MS, 0.0)
    assert line.advance() == ([], []), "told once"
    line.image(66, pose=False)
    line.line.restart(50_000 * MS, 0.0)
    line.poses.add(66 * MS, np.eye(4))
    assert line.advance() == ([(66, None, None)], []), "what has come since stays"


def test_images_of_the_second_pass_of_a_bag_have_poses_of_the_second_pass() -> None:
    """The second pass's poses come between the stamps of the first one's, and a little after its images."""
    line, elsewhere = Line(), np.eye(4)
    elsewhere[0, 3] = 5.0
    for ms in range(0, 3000, 100):
        line.image(ms)
    assert len(line.advance()[0]) == 30
    got, causes = [], []
    for ms in range(0, 1500, 100):
        line.poses.add((ms - 50) * MS, elsewhere)
        line.image(ms, pose=False)
        bundles, problems = line.line.advance(0.0)
        causes += [problem.cause for problem in problems]
        got += [(b.stamp // MS, float(b.T_world_camera[0, 3])) for b in bundles]
    assert got == [(ms, 5.0) for ms in range(0, 1400, 100)]
    assert causes == ["clock_back"]


def test_depth_stamped_beside_its_images_by_a_steady_offset_gets_the_pose_of_its_own_stamp() -> None:
    line = Line()
    taken, causes = [], []
    for ms in range(0, 3000, 100):
        T = np.eye(4)
        T[0, 3] = ms / 1000
        line.poses.add(ms * MS, T)
        line.line.add_image(ms * MS, "image", ms / 1000)
        line.line.add_depth((ms + 40) * MS, ms, ms / 1000 + 0.05)
        bundles, problems = line.line.advance(ms / 1000 + 0.05)
        causes += [problem.cause for problem in problems]
        taken += [(b.stamp // MS, b.depth, b.T_world_depth is not None and b.T_world_depth[0, 3]) for b in bundles]
    assert causes == ["depth_offset"]
    assert [depth for _, depth, _ in taken[:10]] == [None] * 10
    assert len(taken) >= 28
    for stamp, depth, x in taken[10:]:
        assert depth == stamp
        assert x == pytest.approx((stamp + 40) / 1000)


def test_depth_stamped_beside_its_images_anyhow_is_told_with_the_offset() -> None:
    line = Line()
    told = []
    for i, ms in enumerate(range(0, 3000, 100)):
        line.image(ms, ms / 1000)
        line.line.add_depth((ms + 25 + 5 * (i * 7 % 10)) * MS, ms, ms / 1000 + 0.09)
        told += line.line.advance(ms / 1000 + 0.09)[1]
    assert {problem.cause for problem in told} == {"depth_apart"}
    assert len(told) >= 10
    assert "sync_tolerance = 0.02 s" in told[0].message


def test_depth_at_a_tenth_of_the_images_rate_is_no_problem() -> None:
    line, taken, causes = Line(), [], []
    for i in range(400):
        if i % 30 == 0:
            line.line.add_depth(33 * i * MS, i, 0.033 * i)
        line.image(33 * i, 0.033 * i)
        bundles, problems = line.advance(0.033 * i)
        taken += [depth for _, depth, _ in bundles if depth is not None]
        causes += problems
    assert taken == list(range(0, 400, 30))[: len(taken)]
    assert len(taken) >= 13
    assert set(causes) <= {"depth_late"}


def test_a_full_line_drops_the_oldest_without_pose_and_releases_the_oldest_without_masks() -> None:
    line = Line(capacity=2)
    for ms in (0, 10, 20):
        line.image(ms, pose=False)
    assert line.advance() == ([], ["queue_full"])
    assert len(line.line) == 2
    line = Line(capacity=2)
    line.line.add_masks(-1000 * MS, "old", 0.0)
    for ms in (0, 10, 20):
        line.image(ms)
    assert line.advance() == ([(0, None, None)], [])


def test_depth_and_masks_that_make_room_without_having_found_their_image_are_counted() -> None:
    line = Line(capacity=2)
    for ms in (0, 100):
        line.image(ms)
        line.line.add_depth(ms * MS, "depth", 0.0)
        line.line.add_masks(ms * MS, "masks", 0.0)
        assert line.advance() == ([(ms, "depth", "masks")], [])
    for ms, alone in ((200, 0), (300, 0), (400, 1)):  # the first two make room for those that were used
        line.line.add_depth(ms * MS, "depth", 0.0)
        line.line.add_masks(ms * MS, "masks", 0.0)
        assert line.line.alone == {"depth": alone, "masks": alone}


class Picture:
    """A message of a large image, or with label image."""

    def __init__(self) -> None:
        self.data = bytes(HEAVY // 4)


def test_large_images_and_depth_do_not_fill_the_memory_while_they_wait() -> None:
    line, picture = Line(), Picture()
    for i in range(7):
        line.line.add_image(33 * i * MS, picture, 0.0)
        line.line.add_depth(33 * i * MS, picture, 0.0)
        line.advance()
        assert len(line.line) <= 4
    assert line.line.alone["depth"] == 2
    line.poses.add(33 * 6 * MS, np.eye(4))
    line.poses.add(33 * 3 * MS, np.eye(4))
    bundles, _ = line.line.advance(0.1)
    assert [b.stamp // MS for b in bundles] == [99, 132, 165, 198]
    assert all(b.depth is picture for b in bundles)
