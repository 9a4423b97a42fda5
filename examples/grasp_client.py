"""Ask the map for an object and print where a gripper could take it from above.

    python examples/grasp_client.py "the mug left of the laptop" [--frame base_link] [--opening 0.085]

The pose is of a parallel gripper: z is the way it comes in, y the way its fingers close. The answer comes with what a
planner of your own would use instead: points with normals, the oriented box, the supporting plane and the free side.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from ig_ros.errors import QueryError
from ig_ros.message_decoding import matrix_from_pose
from ig_ros.nodes.clouds import points_from_cloud
from ig_ros.nodes.conversions import pose_message
from ig_ros.nodes.query_client import connected

DEPTH = 0.03  # m: the fingertips go this deep below the top, but not into the support
MARGIN = 0.01  # m above the support


def top_grasp(T_box: np.ndarray, size: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """(4, 4) gripper pose over a box: coming down, fingers closing across its shorter horizontal edge."""
    closing = T_box[:3, 1] if size[1] <= size[0] else T_box[:3, 0]
    approach = np.array([0.0, 0.0, -1.0])
    T = np.eye(4)
    T[:3, :3] = np.stack([np.cross(closing, approach), closing, approach], axis=1)
    T[:3, 3] = T_box[:3, 3] + [0, 0, size[2] / 2 - min(DEPTH, size[2] / 2)]
    if plane.any():
        height = plane[:3] @ T[:3, 3] + plane[3]
        T[2, 3] += max(0.0, MARGIN - height)
    return T


def main(arguments: list[str] | None = None) -> int:
    """0 with a grasp, 2 when there is none, 1 when the node does not answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help='what to grasp, for example "the red mug"')
    parser.add_argument("--frame", default="", help="frame of the pose (z up), empty = the map frame")
    parser.add_argument("--opening", type=float, default=0.085, help="how far the gripper opens, m")
    given = parser.parse_args(arguments)
    try:
        with connected(10.0) as client:
            answer = client.query(given.text, max_results=1, frame_id=given.frame, with_cloud=True)
    except QueryError as error:
        print(f"grasp_client: {error}", file=sys.stderr)
        return 1
    if not answer.success:
        print(answer.message)
        return 2
    [found] = answer.objects
    size = np.array([found.size.x, found.size.y, found.size.z])
    T = top_grasp(matrix_from_pose(found.pose), size, np.array(found.support_plane))
    p, q = pose_message(T).position, pose_message(T).orientation
    points = points_from_cloud(found.cloud)
    print(f"{found.label} (object {found.id}): {len(points)} points with normals, stands on object {found.support_id}")
    side = found.free_side
    print(f"free side ({side.x:.2f}, {side.y:.2f}, {side.z:.2f}), {found.clearance:.2f} m")
    if size[:2].min() > given.opening:
        print(f"too wide for a gripper that opens {given.opening:.3f} m: {size[:2].min():.3f} m")
        return 2
    print(f"top grasp in '{found.header.frame_id}': position {p.x:.3f} {p.y:.3f} {p.z:.3f} m, "
          f"orientation (x y z w) {q.x:.3f} {q.y:.3f} {q.z:.3f} {q.w:.3f}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
