# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The packages that lvs_ros needs besides ROS, and what to say where one is not there.

The node lives without those of the tools, which are the extra ``tools`` in ``setup.cfg``.
"""

from __future__ import annotations

from collections.abc import Mapping

NODE: Mapping[str, str] = {
    'cv2': 'opencv-python-headless', 'numpy': 'numpy', 'safetensors': 'safetensors',
    'simplejpeg': 'simplejpeg', 'torch': 'torch', 'yaml': 'pyyaml'}
"""What the node imports: the name of the module, and that of the package for pip."""

TOOLS: Mapping[str, str] = {
    'PIL': 'pillow', 'av': 'av', 'matplotlib': 'matplotlib', 'psutil': 'psutil', 'rich': 'rich',
    'rosbags': 'rosbags', 'tensorboard': 'tensorboard', 'tornado': 'tornado', 'tqdm': 'tqdm'}
"""What the tools import besides."""


def advice(error: ModuleNotFoundError) -> str | None:
    """Return what to do about an import that failed; None where the module is none of these."""
    module = (error.name or '').partition('.')[0]
    package = {**NODE, **TOOLS}.get(module)
    if package is None:
        return None
    text = (f'{package} is not installed for this Python; install it in the virtual environment '
            f'that lvs_ros was built with (docs/install.md): pip install {package}')
    if module in TOOLS:
        text += ("; the packages of all tools are the extra 'tools': pip install '.[tools]' in a "
                 'checkout')
    return text
