# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""CamVid's class ids and the surface codes that the painter writes beside the colours.

A surface code is ``class id + 16 * material``; the material says which texture is laid over it.
"""

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)
CLASS_MASK = 15

GROUND_MATERIAL = 1
SLAB_MATERIAL = 2
WALL_MATERIAL = 3

ROAD_SURFACE = ROAD + 16 * GROUND_MATERIAL
GRASS_SURFACE = TREE + 16 * GROUND_MATERIAL
PAVEMENT_SURFACE = PAVEMENT + 16 * SLAB_MATERIAL
WALL_SURFACE = BUILDING + 16 * WALL_MATERIAL
