"""What is not the scene as a robot tells it to the node: a mask per camera, and an image beside the images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from nodes.running import running, until
from nodes.scene import small_frame
from nodes.sender import Sender
from sensor_msgs.msg import Image

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError
from ig_ros.nodes.conversions import image_message
from ig_ros.nodes.frame_builder import ignore_mask


def drawn(path: Path, height: int, width: int) -> str:
    pixels = np.zeros((height, width), np.uint8)
    pixels[height // 2 :] = 1
    cv2.imwrite(str(path), pixels)
    return str(path)


@pytest.mark.field("scene", "ignore_mask, and an image on `ignore`", "both are ignored in the frame")
def test_frames_ignore_the_cameras_mask_and_the_image_of_their_stamp(context: object, tmp_path: Path) -> None:
    height, width = small_frame().rgb.shape[:2]
    arm = np.zeros((height, width), np.uint8)
    arm[:10, :10] = 255
    with running(context, ignore_mask=[drawn(tmp_path / "m.png", 2 * height, 2 * width)]) as made:
        sender = Sender(context)
        pixels = sender.player.create_publisher(Image, "ignore", 10)
        assert until(lambda: pixels.get_subscription_count() > 0)

        def edit(messages: dict) -> None:
            pixels.publish(image_message(arm, "mono8", messages["image"].header))

        def ignoring_both() -> bool:
            return any(f.ignored is not None and f.ignored[0, 0] for f in made.mapper.frames)

        assert sender.send_until(ignoring_both, edit), made.node.problems.counts()
        frame = next(f for f in made.mapper.frames if f.ignored is not None and f.ignored[0, 0])
        wanted = arm > 0
        wanted[height // 2 :] = True
        assert np.array_equal(frame.ignored, wanted)
        sender.close()


@pytest.mark.field("scene", "an ignore_mask of another shape than the images", "no image is used, told with both sizes")
def test_a_mask_of_another_shape_lets_no_image_in(context: object, tmp_path: Path) -> None:
    with running(context, ignore_mask=[drawn(tmp_path / "m.png", 50, 50)]) as made:
        sender = Sender(context)
        assert sender.send_until(lambda: made.node.problems.counts().get("ignore_mask_size", 0))
        assert not made.mapper.frames
        assert any("50x50" in warning for warning in made.warnings)
        sender.close()


def test_masks_belong_to_cameras_by_place(tmp_path: Path) -> None:
    path = drawn(tmp_path / "m.png", 10, 10)
    config = NodeConfig(cameras=("left", "right"), ignore_mask=("", path))
    assert ignore_mask(config, 0) is None
    assert ignore_mask(config, 1) is not None
    with pytest.raises(ConfigError, match="3 entries for 2 cameras"):
        ignore_mask(NodeConfig(cameras=("left", "right"), ignore_mask=(path,) * 3), 0)
    with pytest.raises(ConfigError, match="is not there"):
        ignore_mask(NodeConfig(ignore_mask=(str(tmp_path / "none.png"),)), 0)
