"""`python -m ig_ros.nodes NODE [ROS arguments]`: starts mapping_node or segmenter_node in a prepared process."""

from __future__ import annotations

import importlib
import sys

from ig_ros.nodes.process import prepare_process

NODES = ("mapping_node", "segmenter_node")


def main() -> None:
    """Console entry point; the node's module, and with it torch and rclpy, is imported once the process is prepared."""
    if len(sys.argv) < 2 or sys.argv[1] not in NODES:
        sys.exit(f"usage: python -m ig_ros.nodes {'|'.join(NODES)} [ROS arguments]")
    prepare_process()
    importlib.import_module(f"ig_ros.nodes.{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    main()
