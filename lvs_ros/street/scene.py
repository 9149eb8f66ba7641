# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The street scene: puts ground, houses, things and road users on the canvas, far before near."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from lvs_ros.errors import ConfigurationError
from lvs_ros.street import furniture, world
from lvs_ros.street.buildings import draw_house
from lvs_ros.street.camera import FAR_M, Camera
from lvs_ros.street.finish import Finisher
from lvs_ros.street.ground import paint_ground
from lvs_ros.street.light import make_light
from lvs_ros.street.motion import Motion
from lvs_ros.street.painter import Canvas
from lvs_ros.street.people import draw_bicyclist, draw_pedestrian, make_person
from lvs_ros.street.randomness import cell_random
from lvs_ros.street.sky import Sky
from lvs_ros.street.traffic import Actor, actors_between, lead_car
from lvs_ros.street.trees import draw_tree
from lvs_ros.street.vehicles import draw_vehicle, make_vehicle
from lvs_ros.street.view import View

MIN_SIZE = (64, 48)
MAX_SIZE = (2048, 1024)

Step = tuple[float, Callable[[], None]]
"""The depth (m) at which something stands, and what draws it."""


def _draw_street_tree(view: View, item: world.Item) -> None:
    draw_tree(view, seed=item.seed, x=item.x, s=item.s)


def _draw_parked(view: View, item: world.Item) -> None:
    draw_vehicle(view, vehicle=make_vehicle(item.seed, big=False), x=item.x, s=item.s,
                 direction=-1 if item.side > 0 else 1)


_DRAW_ITEM = {
    'lamp': furniture.draw_lamp, 'sign': furniture.draw_sign,
    'hanging_sign': furniture.draw_hanging_sign, 'bollard': furniture.draw_bollard,
    'barrier': furniture.draw_barrier, 'tree': _draw_street_tree, 'parked': _draw_parked}


class StreetScene:
    """A street without an end, filmed from a car.

    :param seed: chooses the street, the weather and how the car drives.
    :param width: of the image in pixels, 64 to 2048.
    :param height: of the image in pixels, 48 to 1024.
    :raises ConfigurationError: when a size is outside these bounds or not an integer.
    """

    def __init__(self, *, seed: int = 0, width: int = 480, height: int = 360) -> None:
        for name, value, low, high in (('width', width, MIN_SIZE[0], MAX_SIZE[0]),
                                       ('height', height, MIN_SIZE[1], MAX_SIZE[1])):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) \
                    or not low <= value <= high:
                raise ConfigurationError(
                    f'the street cannot be drawn with {name} {value!r}: expected an integer '
                    f'from {low} to {high}; choose a size within {MIN_SIZE[0]}x{MIN_SIZE[1]} '
                    f'and {MAX_SIZE[0]}x{MAX_SIZE[1]}')
        self.seed = int(seed)
        self.width, self.height = int(width), int(height)
        self.motion = Motion(self.seed)
        self.light = make_light(self.seed)
        self._sky = Sky(self.light, self.seed)
        self._finisher = Finisher(width=self.width, height=self.height)

    def render(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Return what the camera sees at a time, and what it is.

        The result depends on seed, size and time alone: calls may come in any order.

        :param time_s: any finite time in seconds, also negative.
        :returns: the image, (H, W, 3) uint8 RGB, and CamVid's class ids, (H, W) uint8.
        :raises ConfigurationError: when the time is not finite.
        """
        if not math.isfinite(time_s):
            raise ConfigurationError(f'the street has no time {time_s!r}: expected finite seconds')
        canvas = Canvas(width=2 * self.width, height=2 * self.height)
        camera = Camera(self.motion.pose(time_s), self.motion, width=canvas.width,
                        height=canvas.height)
        view = View(canvas, camera, self.light)
        self._sky.paint(view)
        plots = [plot for side in (-1, 1) for plot in
                 world.plots_between(self.seed, side, camera.pose.s, camera.pose.s + FAR_M)]
        paint_ground(view, self.motion, plots)
        steps = [*(self._plot(view, plot) for plot in plots), *self._items(view),
                 *self._crossings(view, time_s), *self._traffic(view, time_s)]
        for _, draw in sorted(steps, key=lambda step: -step[0]):
            draw()
        image = self._finisher.finish(view, seed=self.seed, time_s=time_s)
        return image, canvas.labels()

    def _plot(self, view: View, plot: world.Plot) -> Step:
        if plot.kind == 'house':
            return plot.s1, partial(draw_house, view, side=plot.side, s0=plot.s0, s1=plot.s1,
                                    seed=plot.seed, x=world.FACADE_X_M)
        if plot.kind == 'gap':
            end = plot.s1 + 14.0
            return end, partial(draw_house, view, side=plot.side, s0=plot.s0 - 12.0, s1=end,
                                seed=plot.seed, x=30.0)
        return plot.s1, partial(self._draw_green, view, plot)

    def _draw_green(self, view: View, plot: world.Plot) -> None:
        """Draw a park or a hedge: what grows, far before near, then the fence before it."""
        draw = cell_random(self.seed, 50 + plot.side, plot.index)
        is_park = plot.kind == 'park'
        grown = []
        for _ in range(3 if is_park else 2):
            x = world.FACADE_X_M + draw.uniform(2.0, 20.0)
            grown.append((draw.uniform(plot.s0, plot.s1), x, draw.uniform(6.0, 11.0),
                          draw.getrandbits(40)))
        has_shrubs = draw.random() < 0.5 or not is_park
        for s, x, tall, seed in sorted(grown, reverse=True):
            draw_tree(view, seed=seed, x=plot.side * x, s=s, height=tall,
                      brightness=draw.uniform(0.75, 1.15))
        if has_shrubs:
            for s in np.arange(plot.s1 - 0.5, plot.s0, -3.3):
                draw_tree(view, seed=plot.seed + int(10 * s), s=float(s), hedge_width=5.2,
                          x=plot.side * (world.FACADE_X_M + 1.3), height=1.5 if is_park else 2.0)
        if is_park:
            furniture.draw_railing(view, x=plot.side * world.FACADE_X_M, s0=plot.s0, s1=plot.s1,
                                   tall=draw.choice((1.2, 1.5, 1.9)), seed=plot.seed)

    def _items(self, view: View) -> Iterator[Step]:
        here = view.camera.pose.s
        for side in (-1, 1):
            for item in world.items_between(self.seed, side, here - 8.0, here + 0.55 * FAR_M):
                # A car that begins within 9 m of a stop line would stand on the crossing.
                if item.kind != 'parked' \
                        or not self.motion.stop_cycles(item.s - 9.0, item.s + 0.5):
                    yield item.s, partial(_DRAW_ITEM[item.kind], view, item)

    def _crossings(self, view: View, time_s: float) -> Iterator[Step]:
        here = view.camera.pose.s
        for cycle in self.motion.stop_cycles(here - 20.0, here + 0.6 * FAR_M):
            s = self.motion.stop_line_s(cycle) + 4.2
            red = self.motion.light_is_red(cycle, time_s)
            for side in (-1, 1):
                yield s, partial(furniture.draw_traffic_light, view,
                                 x=side * (world.ROAD_HALF_M + 0.3), s=s, red=red)
            for walker in range(3):
                yield self._walker(view, cycle, walker, s + 1.0 + 0.8 * walker, time_s)

    def _walker(self, view: View, cycle: int, walker: int, s: float, time_s: float) -> Step:
        """Return the step that draws someone who crosses the road, or waits to."""
        draw = cell_random(self.seed, 55 + walker, cycle)
        way = draw.choice((-1, 1))
        edge = world.ROAD_HALF_M + draw.uniform(0.8, 2.4)
        walked = self.motion.crossing_walk(cycle, time_s, delay_s=draw.uniform(0.0, 2.0))
        x = way * min(walked - edge, edge)
        moving = 0.0 < walked < 2.0 * edge
        return _depth(x, s), partial(
            draw_pedestrian, view, person=make_person(draw.getrandbits(40)), x=x,
            y=world.KERB_M if abs(x) > world.ROAD_HALF_M else 0.0, s=s,
            walked_m=walked if moving else 0.0, direction=way, sideways=moving)

    def _traffic(self, view: View, time_s: float) -> Iterator[Step]:
        pose = view.camera.pose
        braking = pose.standing or self.motion.distance(time_s + 0.2)[1] < pose.speed - 0.05
        for actor in (*actors_between(self.seed, time_s, pose.s - 12.0, pose.s + 0.65 * FAR_M),
                      lead_car(self.seed, pose)):
            yield _depth(actor.x, actor.s), partial(_draw_actor, view, actor, time_s, braking)


def _draw_actor(view: View, actor: Actor, time_s: float, braking: bool) -> None:
    went = abs(actor.speed) * time_s
    if actor.kind == 'pedestrian':
        draw_pedestrian(view, person=make_person(actor.seed), x=actor.x, y=world.KERB_M,
                        s=actor.s, walked_m=went, direction=actor.direction)
    elif actor.kind == 'bicyclist':
        draw_bicyclist(view, person=make_person(actor.seed), x=actor.x, s=actor.s,
                       ridden_m=went, direction=actor.direction)
    else:
        draw_vehicle(view, vehicle=make_vehicle(actor.seed), x=actor.x, s=actor.s,
                     direction=actor.direction, braking=braking)


def _depth(x: float, s: float) -> float:
    """Return the depth by which road users are sorted; the farthest is drawn first.

    Parked cars are sorted by their near ends. What is on the lanes beside one is farther than
    that, but nothing at the kerb can hide it, so it is drawn as if it were a car's length nearer.
    """
    return s - 5.5 if abs(x) < 3.3 else s
