# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
#
# docker build --build-arg ROS=jazzy --build-arg TORCH=cpu -t lvs_ros .     (docs/install.md)
ARG ROS=jazzy
FROM ros:${ROS}-ros-base

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /ws

# Dependencies first: they stay in the cache when only the source has changed.
COPY package.xml src/lvs_ros/package.xml
RUN apt-get update \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        build-essential python3-dev python3-venv \
    && DEBIAN_FRONTEND=noninteractive rosdep install --from-paths src --ignore-src -y \
        -t buildtool -t build -t exec \
    && rm -rf /var/lib/apt/lists/*

# cpu: PyTorch without CUDA. cuda: with CUDA, as it is on PyPI; start with --gpus all.
ARG TORCH=cpu
COPY requirements.txt .
RUN case "$TORCH" in \
        cpu) index=(--index-url https://download.pytorch.org/whl/cpu) ;; \
        cuda) index=() ;; \
        *) echo "TORCH=$TORCH: expected cpu or cuda" >&2; exit 1 ;; \
    esac \
    && python3 -m venv --system-site-packages /opt/lvs \
    && grep '^torch==' requirements.txt > torch.txt \
    && grep -E '^(safetensors|simplejpeg)==' requirements.txt > others.txt \
    && /opt/lvs/bin/pip install --no-cache-dir "${index[@]}" -r torch.txt \
    && /opt/lvs/bin/pip install --no-cache-dir -r others.txt 'numpy<2'

COPY . src/lvs_ros
RUN set +u && . "/opt/ros/$ROS_DISTRO/setup.bash" && set -u \
    && colcon build --merge-install --packages-select lvs_ros --cmake-args \
        -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DPython3_EXECUTABLE=/opt/lvs/bin/python \
    && rm -rf build log src

# HOME may be written by any user: with --ipc=host, `--user "$(id -u)"` must be the host's one.
RUN useradd --create-home lvs && chmod 1777 /home/lvs
ENV HOME=/home/lvs
USER lvs
WORKDIR /home/lvs

# What Ctrl-C sends: `ros2 launch` ends its nodes on it, and leaves them running on SIGTERM.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["/bin/bash", "-c", ". /ws/install/setup.bash && exec /ws/install/lib/lvs_ros/lvs health"]
ENTRYPOINT ["/bin/bash", "-c", ". /ws/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "lvs_ros", "lvs.launch.py"]
