"""Core types -> ROS messages, and back by `ig_ros.message_decoding`. One conversion per message type.

cv_bridge is not used: it shears images whose rows are padded by no whole pixel. ROS puts the centre of the first pixel
at 0, the core at 0.5: calibration is shifted at this border and nowhere else.
"""

from __future__ import annotations

import array

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from ig_ros.geometry import quaternion_from_matrix
from ig_ros.types import Array, Camera, FloatArray


def byte_array(values: Array) -> array.array[int]:
    """The bytes of an array in the form rclpy takes without a loop over elements (1000x faster than a list)."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return data


def time_message(stamp: int) -> Time:
    """Integer nanoseconds -> ROS stamp."""
    return Time(sec=stamp // 1_000_000_000, nanosec=stamp % 1_000_000_000)


def header(stamp: int, frame_id: str) -> Header:
    """Message header from nanoseconds and a frame name."""
    return Header(stamp=time_message(stamp), frame_id=frame_id)


def image_message(pixels: Array, encoding: str, head: Header) -> Image:
    """Raw image from (H, W) or (H, W, C) pixels whose dtype already fits the encoding."""
    row = int(np.prod(pixels.shape[1:])) * pixels.dtype.itemsize
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    message = Image(header=head, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=row)
    message.data = byte_array(little)
    return message


def depth_message(depth: FloatArray, head: Header) -> Image:
    """32FC1 image from (H, W) metres."""
    return image_message(depth.astype(np.float32), "32FC1", head)


def info_message(camera: Camera, head: Header) -> CameraInfo:
    """camera_info without distortion of a core camera."""
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2] - 0.5, camera.K[1, 2] - 0.5
    return CameraInfo(
        header=head, width=camera.width, height=camera.height, distortion_model="plumb_bob", d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0], r=np.eye(3).reshape(-1).tolist(),
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )  # fmt: skip


def pose_message(T: FloatArray) -> Pose:
    """Pose message of a (4, 4) rigid transform."""
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(v) for v in T[:3, 3])
    q = quaternion_from_matrix(T[:3, :3])
    pose.orientation.w, pose.orientation.x, pose.orientation.y, pose.orientation.z = (float(v) for v in q)
    return pose
