# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The street scene: puts ground, houses, things and road users on the canvas, far before near."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lvs_ros.errors import ConfigurationError
from lvs_ros.street import furniture, trees, world
from lvs_ros.street.buildings import draw_house, make_house
from lvs_ros.street.camera import FAR_M, Camera
from lvs_ros.street.finish import Finisher
from lvs_ros.street.ground import GroundPainter
from lvs_ros.street.light import make_light
from lvs_ros.street.motion import Motion, Pose
from lvs_ros.street.painter import Canvas
from lvs_ros.street.people import draw_bicyclist, draw_pedestrian, make_person
from lvs_ros.street.randomness import cell_random
from lvs_ros.street.sky import Sky
from lvs_ros.street.traffic import Actor, actors_between, lead_car
from lvs_ros.street.vehicles import draw_vehicle, make_vehicle

MIN_SIZE = (64, 48)
MAX_SIZE = (2048, 1024)

Step = Callable[[], None]


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
        self._sky.paint(canvas, camera)
        plots = [plot for side in (-1, 1) for plot in
                 world.plots_between(self.seed, side, camera.pose.s, camera.pose.s + FAR_M)]
        self._paint_ground(canvas, camera, plots)
        steps: list[tuple[float, Step]] = []
        for plot in plots:
            self._add_plot(steps, canvas, camera, plot)
        self._add_items(steps, canvas, camera)
        self._add_crossings(steps, canvas, camera, time_s)
        self._add_traffic(steps, canvas, camera, time_s)
        for _, step in sorted(steps, key=lambda entry: -entry[0]):
            step()
        image = self._finisher.finish(canvas, camera, self.light, seed=self.seed, time_s=time_s)
        return image, canvas.labels()

    def _paint_ground(self, canvas: Canvas, camera: Camera, plots: list[world.Plot]) -> None:
        ground = GroundPainter(canvas, camera, self.light)
        ground.paint_base()
        for plot in reversed(plots):
            height = make_house(plot.seed, plot.s1 - plot.s0).height
            ground.paint_plot(plot, height)
        ground.paint_markings(self.motion)

    def _add_plot(self, steps: list[tuple[float, Step]], canvas: Canvas, camera: Camera,
                  plot: world.Plot) -> None:
        def house(x: float, s0: float, s1: float) -> Step:
            return lambda: draw_house(canvas, camera, self.light, side=plot.side, s0=s0, s1=s1,
                                      seed=plot.seed, x=x)

        if plot.kind == 'house':
            steps.append((plot.s1, house(world.FACADE_X_M, plot.s0, plot.s1)))
        elif plot.kind == 'gap':
            steps.append((plot.s1 + 14.0, house(30.0, plot.s0 - 12.0, plot.s1 + 14.0)))
        else:
            steps.append((plot.s1, lambda: self._draw_green(canvas, camera, plot)))

    def _draw_green(self, canvas: Canvas, camera: Camera, plot: world.Plot) -> None:
        """Draw a park or a hedge: what grows, far before near, then the fence before it."""
        draw = cell_random(self.seed, 50 + plot.side, plot.index)
        grown = []
        for _ in range(3 if plot.kind == 'park' else 2):
            x = world.FACADE_X_M + draw.uniform(2.0, 20.0)
            grown.append((draw.uniform(plot.s0, plot.s1), x, draw.uniform(6.0, 11.0),
                          draw.getrandbits(40)))
        shrub = draw.random() < 0.5 or plot.kind == 'hedge'
        for s, x, tall, seed in sorted(grown, reverse=True):
            trees.draw_tree(canvas, camera, self.light, seed=seed, x=plot.side * x, s=s,
                            height=tall, brightness=draw.uniform(0.75, 1.15))
        if shrub:
            for s in np.arange(plot.s1 - 0.5, plot.s0, -3.3):
                trees.draw_tree(canvas, camera, self.light, seed=plot.seed + int(10 * s),
                                x=plot.side * (world.FACADE_X_M + 1.3), s=float(s),
                                height=2.0 if plot.kind == 'hedge' else 1.5, hedge_width=5.2)
        if plot.kind == 'park':
            furniture.draw_railing(canvas, camera, self.light, x=plot.side * world.FACADE_X_M,
                                   s0=plot.s0, s1=plot.s1, tall=draw.choice((1.2, 1.5, 1.9)),
                                   seed=plot.seed)

    def _add_items(self, steps: list[tuple[float, Step]], canvas: Canvas,
                   camera: Camera) -> None:
        for side in (-1, 1):
            for item in world.items_between(self.seed, side, camera.pose.s - 8.0,
                                            camera.pose.s + 0.55 * FAR_M):
                if item.kind != 'parked' or not self._is_crossing(item.s):
                    steps.append((item.s, self._item_step(canvas, camera, item)))

    def _is_crossing(self, s: float) -> bool:
        """Tell whether a car that begins at a place would stand on a crossing."""
        return bool(self.motion.stop_cycles(s - 9.0, s + 0.5))

    def _item_step(self, canvas: Canvas, camera: Camera, item: world.Item) -> Step:
        light, x, s, seed = self.light, item.x, item.s, item.seed
        if item.kind == 'lamp':
            return lambda: furniture.draw_lamp(canvas, camera, light, x=x, s=s, seed=seed)
        if item.kind == 'sign':
            return lambda: furniture.draw_sign(canvas, camera, light, x=x, s=s, seed=seed)
        if item.kind == 'hanging_sign':
            return lambda: furniture.draw_hanging_sign(canvas, camera, light, x=x, s=s, seed=seed)
        if item.kind == 'bollard':
            return lambda: furniture.draw_bollard(canvas, camera, light, x=x, s=s)
        if item.kind == 'barrier':
            return lambda: furniture.draw_railing(canvas, camera, light, x=x, s0=s, s1=s + 8.0,
                                                  tall=1.05, seed=seed)
        if item.kind == 'tree':
            return lambda: trees.draw_tree(canvas, camera, light, seed=seed, x=x, s=s)
        return lambda: draw_vehicle(
            canvas, camera, light, vehicle=make_vehicle(seed, big=False), x=x, s=s,
            direction=-1 if item.side > 0 else 1)

    def _add_crossings(self, steps: list[tuple[float, Step]], canvas: Canvas, camera: Camera,
                       time_s: float) -> None:
        here = camera.pose.s
        for cycle in self.motion.stop_cycles(here - 20.0, here + 0.6 * FAR_M):
            s = self.motion.stop_line_s(cycle) + 4.2
            red = self.motion.light_is_red(cycle, time_s)
            for side in (-1, 1):
                steps.append((s, self._light_step(canvas, camera, side, s, red)))
            for walker in range(3):
                steps.append(self._crossing_step(canvas, camera, cycle, walker,
                                                 s + 1.0 + 0.8 * walker, time_s))

    def _light_step(self, canvas: Canvas, camera: Camera, side: int, s: float,
                    red: bool) -> Step:
        return lambda: furniture.draw_traffic_light(
            canvas, camera, self.light, x=side * (world.ROAD_HALF_M + 0.3), s=s, red=red)

    def _crossing_step(self, canvas: Canvas, camera: Camera, cycle: int, walker: int, s: float,
                       time_s: float) -> tuple[float, Step]:
        draw = cell_random(self.seed, 55 + walker, cycle)
        way = draw.choice((-1, 1))
        edge = world.ROAD_HALF_M + draw.uniform(0.8, 2.4)
        walked = self.motion.crossing_walk(cycle, time_s, delay_s=draw.uniform(0.0, 2.0))
        x = way * min(walked - edge, edge)
        moving = 0.0 < walked < 2.0 * edge
        height = world.KERB_M if abs(x) > world.ROAD_HALF_M else 0.0
        person = make_person(draw.getrandbits(40))
        return _depth(x, s), lambda: draw_pedestrian(
            canvas, camera, self.light, person=person, x=x, y=height, s=s,
            walked_m=walked if moving else 0.0, direction=way, sideways=moving)

    def _add_traffic(self, steps: list[tuple[float, Step]], canvas: Canvas, camera: Camera,
                     time_s: float) -> None:
        here = camera.pose.s
        actors = actors_between(self.seed, time_s, here - 12.0, here + 0.65 * FAR_M)
        actors.append(lead_car(self.seed, camera.pose))
        for actor in actors:
            steps.append((_depth(actor.x, actor.s),
                          self._actor_step(canvas, camera, actor, time_s)))

    def _actor_step(self, canvas: Canvas, camera: Camera, actor: Actor, time_s: float) -> Step:
        went = abs(actor.speed) * time_s
        if actor.kind == 'pedestrian':
            return lambda: draw_pedestrian(
                canvas, camera, self.light, person=make_person(actor.seed), x=actor.x,
                y=world.KERB_M, s=actor.s, walked_m=went, direction=actor.direction)
        if actor.kind == 'bicyclist':
            return lambda: draw_bicyclist(
                canvas, camera, self.light, person=make_person(actor.seed), x=actor.x, s=actor.s,
                ridden_m=went, direction=actor.direction)
        return lambda: draw_vehicle(
            canvas, camera, self.light, vehicle=make_vehicle(actor.seed), x=actor.x, s=actor.s,
            direction=actor.direction, braking=_is_braking(self.motion, camera.pose, time_s))


def _depth(x: float, s: float) -> float:
    """Return the depth by which whoever moves on the street is sorted; the far is drawn first.

    Parked cars are sorted by their near ends. What is on the lanes beside one is farther than
    that, but nothing at the kerb can hide it, so it is drawn as if it were a car's length nearer.
    """
    return s - 5.5 if abs(x) < 3.3 else s


def _is_braking(motion: Motion, pose: Pose, time_s: float) -> bool:
    return pose.standing or motion.distance(time_s + 0.2)[1] < pose.speed - 0.05
