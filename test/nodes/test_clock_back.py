"""A clock that jumps back, as a bag in a loop makes it: the second pass is used from its first image on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nodes import tf2_double
from nodes.running import running, until
from nodes.sender import SECOND, Sender, transform_message, with_tf2
from nodes.test_query_frames import pose
from rosgraph_msgs.msg import Clock

from ig_ros.message_decoding import nanoseconds
from ig_ros.nodes.conversions import time_message


def test_a_second_publisher_with_another_clock_does_not_empty_tf(
    context: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transforms, 5 s late, are left out; tf of all other frames stays."""
    with_tf2(monkeypatch)
    with running(context, pose_source="tf", odom_frame="") as made:
        sender = Sender(context)
        assert until(lambda: sender.tf.get_subscription_count())

        def edit(messages: dict[str, Any]) -> None:
            stamp = nanoseconds(messages["image"].header.stamp)
            sender.tf.publish(transform_message("map", "camera", pose(0.0, 0.0, 1.0, 0.0), stamp))
            for late in (0, 5 * SECOND):
                sender.tf.publish(transform_message("map", "gripper", np.eye(4), stamp - late))

        assert sender.send_until(lambda: len(made.mapper.frames) >= 12, edit), made.warnings
        assert made.warnings == []
        sender.close()


ROW = ("wrong", "clock jumps back (bag in a loop)", "first image of the second loop used, one warning at most")


@pytest.mark.field(*ROW)
@pytest.mark.parametrize("simulated", [True, False], ids=["use_sim_time", "wall clock"])
@pytest.mark.parametrize("source", ["pose", "tf"])
def test_no_image_of_the_second_pass_is_lost(
    context: object, monkeypatch: pytest.MonkeyPatch, source: str, simulated: bool
) -> None:
    """Twelve seconds, more than tf remembers, twice; the second time SLAM has another origin, a metre higher."""
    with_tf2(monkeypatch)
    with running(context, pose_source=source, use_sim_time=simulated, odom_frame="") as made:
        sender = Sender(context)
        clock = sender.player.create_publisher(Clock, "/clock", 10)
        assert until(lambda: sender.tf.get_subscription_count())
        assert not simulated or until(clock.get_subscription_count)
        stamps: list[int] = []

        def drive(height: float) -> None:
            for i in range(13):
                T = pose(0.0, 0.0, height, float(i))
                stamp = sender.begin + i * SECOND

                def edit(messages: dict[str, Any], T: np.ndarray = T, stamp: int = stamp) -> None:
                    clock.publish(Clock(clock=time_message(stamp)))
                    sender.tf.publish(transform_message("map", "camera", T, stamp))
                    messages["pose"].pose.position.z = height

                stamps.append(sender.send(float(i), edit))

        drive(0.0)
        assert until(lambda: len(made.mapper.frames) == 13), made.node.problems.counts()
        drive(1.0)
        assert until(lambda: len(made.mapper.frames) == 26), made.node.problems.counts()
        assert [f.stamp for f in made.mapper.frames] == stamps
        assert [f.T_world_camera[2, 3] for f in made.mapper.frames] == [0.0] * 13 + [1.0] * 13
        assert [warning.split()[0] for warning in made.warnings] == ["[clock_back]"]
        assert made.node.problems.counts() == {"clock_back": 1}
        assert [buffer.old_data for buffer in tf2_double.made] == [0]
        sender.close()
