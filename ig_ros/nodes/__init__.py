"""The ROS layer: the only place that imports rclpy. Every process that imports it speaks ROS.

Two native libraries read their settings once, while they are loaded or first used: Fast DDS (a shared-memory segment
large enough for images; above 0.5 MB best-effort messages vanish without it) and OpenMP (idle workers must sleep, else
they starve the callbacks). They are therefore given here, before any of them is loaded, and never override the user.
"""

from ig_ros.nodes.process import prepare_process

prepare_process()
