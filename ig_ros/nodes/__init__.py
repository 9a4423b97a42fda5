"""The ROS layer: the only part that imports rclpy. Importing it sets nothing; entry points call `process`."""
