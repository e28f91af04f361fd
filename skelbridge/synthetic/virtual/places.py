"""Places where people are: what stands around them, and the light. Millimetres; the ground is at y = 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.body.patterns import (
    Colours,
    any_colour,
    bricks,
    cloudy,
    clutter,
    facade,
    jittered,
    mixed,
    planks,
    rough,
    tiles,
)
from skelbridge.body.render import Light
from skelbridge.body.rotations import Floats
from skelbridge.body.surfaces import Surface, ball, block, joined, round_body, sheet

#: Pixels along the side of textures.
SIDE = 160


@dataclass(frozen=True, eq=False)
class Place:
    """What stands there, the lights, and the sky as light that is seen."""

    surfaces: tuple[Surface, ...]
    lights: tuple[Light, ...]
    sky: NDArray[np.float32]


def lab(room: float, rng: np.random.Generator) -> Place:
    """A plain recording room: even floor and walls of a few shades of grey, some equipment along the walls."""
    wall = jittered(rng.choice([0.55, 0.7, 0.8]) * np.ones(3), rng, 0.02)
    floor = rough(SIDE, jittered(rng.choice([0.35, 0.5, 0.62]) * np.ones(3), rng, 0.03), rng)
    things = [_against_wall(_equipment(rng), room, rng) for _ in range(rng.integers(3, 8))]
    mat = sheet((-1500, 3, 1500), (3000, 0, 0), (0, 0, -3000), tiles(SIDE, any_colour(rng, 0.4), rng), 1500)
    walls = _walls(room, [rough(SIDE, wall, rng)], 3000, rng, repeat=2500)
    return Place(
        (_floor(room, floor), *walls, *([mat] if rng.random() < 0.5 else []), *things), _indoors(room, rng), _dim()
    )


def studio(room: float, rng: np.random.Generator) -> Place:
    """A studio for keying: floor and walls in one green or blue, rarely white or black, with evenly spread light."""
    kinds = np.array([[0.12, 0.62, 0.22], [0.10, 0.55, 0.30], [0.12, 0.30, 0.70], [0.85, 0.85, 0.85], [0.1, 0.1, 0.1]])
    colour = jittered(kinds[rng.choice(5, p=[0.4, 0.3, 0.15, 0.1, 0.05])], rng, 0.02)
    cloth = rough(SIDE, colour, rng)
    stands = [_against_wall(_stand(rng), room, rng) for _ in range(rng.integers(2, 6))]
    return Place(
        (_floor(room, cloth), *_walls(room, [cloth], 3500, rng, repeat=4000), *stands), _indoors(room, rng), _dim()
    )


def dome(room: float, rng: np.random.Generator) -> Place:
    """Inside a ball of pale panels with dark dots, on a pale floor."""
    dots = np.ones((SIDE, SIDE)) * 0.8
    y, x = (np.mgrid[0:SIDE, 0:SIDE] / SIDE * 3) % 1 - 0.5
    dots[np.hypot(x, y) < rng.uniform(0.08, 0.2)] = rng.uniform(0.1, 0.4)
    dots[(np.abs(x) > 0.47) | (np.abs(y) > 0.47)] = 0.5
    panels = (dots[..., None] * jittered(np.ones(3) * 0.9, rng, 0.03)).astype(np.float32)
    angles = np.linspace(-0.1, 1.45, 10)
    shell = round_body(room * 1.1 * np.cos(angles), room * 1.1 * np.sin(angles), panels, around=24)
    shell = replace(shell, places=shell.places * [6, 3])
    chairs = [_against_wall(_furniture(rng), 0.55 * room, rng) for _ in range(rng.integers(0, 3))]
    return Place((_floor(1.2 * room, rough(SIDE, jittered(np.ones(3) * 0.6, rng), rng)), shell, *chairs),
                 _indoors(0.7 * room, rng), _dim())  # fmt: skip


def home(room: float, rng: np.random.Generator) -> Place:
    """A room to live in: boards, tiles or carpet; papered walls with things before them; furniture."""
    kind = (planks, tiles, rough)[rng.choice(3, p=[0.5, 0.25, 0.25])]
    wood = np.array([[0.62, 0.42, 0.25], [0.75, 0.58, 0.38], [0.4, 0.26, 0.16], [0.7, 0.66, 0.6]])
    ground = kind(SIDE, jittered(wood[rng.integers(4)] if kind is planks else any_colour(rng, 0.5), rng), rng)
    papers = [clutter(SIDE, any_colour(rng, 0.35) * 0.5 + 0.45, rng) for _ in range(3)]
    things = [_against_wall(_furniture(rng), room, rng) for _ in range(rng.integers(5, 12))]
    rug = sheet((-1300, 4, 1000), (2600, 0, 0), (0, 0, -2000), _rug(rng))
    surfaces = (_floor(room, ground, rng.uniform(800, 2000)), *_walls(room, papers, 2700, rng), *things)
    return Place((*surfaces, rug) if rng.random() < 0.4 else surfaces, _indoors(room, rng), _dim())


def street(room: float, rng: np.random.Generator) -> Place:
    """Pavement between houses, with cars, trees and poles, under the sun or clouds."""
    far = max(room, 6000.0)
    ground = (tiles, rough)[rng.integers(2)](SIDE, jittered(np.ones(3) * rng.uniform(0.3, 0.6), rng, 0.03), rng)
    walls = np.array([[0.75, 0.68, 0.55], [0.6, 0.35, 0.28], [0.8, 0.8, 0.78], [0.5, 0.52, 0.55], [0.85, 0.72, 0.5]])
    fronts = [facade(SIDE, jittered(walls[rng.integers(5)], rng), rng) for _ in range(3)]
    fronts.append(bricks(SIDE, jittered(walls[1], rng), rng))
    houses = []
    for angle in np.arange(0, 2 * np.pi, 0.45) + rng.uniform(0, 0.4):
        if rng.random() < 0.8:
            size = (rng.uniform(5000, 10000), rng.uniform(4000, 14000), 4000)
            house = block(size, fronts[rng.integers(len(fronts))], rng.uniform(4000, 7000))
            houses.append(_around(house, angle, far + rng.uniform(6000, 16000)))
    things = [_around((_tree, _car, _pole)[rng.choice(3, p=[0.4, 0.35, 0.25])](rng), rng.uniform(0, 2 * np.pi),
                      far + rng.uniform(500, 7000)) for _ in range(rng.integers(6, 14))]  # fmt: skip
    return Place((_floor(60000, ground, 2500), *houses, *things), _outdoors(rng), _sky(rng))


def meadow(room: float, rng: np.random.Generator) -> Place:
    """Grass or sand with trees, bushes and hills under the sky."""
    far = max(room, 6000.0)
    kinds = np.array(
        [[0.30, 0.42, 0.15], [0.40, 0.45, 0.20], [0.72, 0.62, 0.42], [0.45, 0.36, 0.26], [0.85, 0.86, 0.9]]
    )
    ground = rough(SIDE, jittered(kinds[rng.choice(5, p=[0.4, 0.25, 0.15, 0.12, 0.08])], rng, 0.03), rng)
    green = rough(SIDE, jittered([0.25, 0.36, 0.16], rng, 0.05), rng)
    hills = [_around(ball(r, green, rng.uniform(0.1, 0.3)), rng.uniform(0, 7), far + 2.4 * r)
             for r in rng.uniform(6000, 18000, 6)]  # fmt: skip
    trees = [_around((_tree, _bush)[rng.integers(2)](rng), rng.uniform(0, 7), far + rng.uniform(300, 14000))
             for _ in range(rng.integers(8, 24))]  # fmt: skip
    return Place((_floor(80000, ground, 3000), *hills, *trees), _outdoors(rng), _sky(rng))


PLACES: dict[str, Callable[[float, np.random.Generator], Place]] = {
    "lab": lab, "studio": studio, "dome": dome, "home": home, "street": street, "meadow": meadow,
}  # fmt: skip


def occluder(rng: np.random.Generator) -> Surface:
    """A thing to stand before a person, on the ground about the origin."""
    kind = rng.choice(5)
    if kind == 0:
        return block(rng.uniform((250, 300, 250), (900, 1000, 700)), clutter(64, any_colour(rng), rng))
    if kind == 1:
        return _pole(rng)
    if kind == 2:
        return _bush(rng)
    if kind == 3:
        return ball(rng.uniform(120, 330), any_colour(rng)).moved(0, (0, rng.uniform(0, 900), 0))
    return block((rng.uniform(700, 1600), rng.uniform(600, 950), 40), tiles(64, any_colour(rng, 0.5), rng))


def stool(height: float, rng: np.random.Generator) -> Surface:
    """Something to sit on, of a height in mm."""
    return block(
        (rng.uniform(360, 560), max(height, 60.0), rng.uniform(340, 460)), rough(64, any_colour(rng, 0.7), rng)
    )


def _floor(half: float, colour: Colours, repeat: float = 2000) -> Surface:
    return sheet((-half, 0, half), (2 * half, 0, 0), (0, 0, -2 * half), colour, repeat)


def _walls(
    room: float, colours: list[Colours], height: float, rng: np.random.Generator, repeat: float = 0
) -> list[Surface]:
    corners = room * np.array([[-1, 0, 1], [1, 0, 1], [1, 0, -1], [-1, 0, -1]], float)
    turn = rng.uniform(0, 2 * np.pi)
    return [
        sheet(corners[k], corners[(k + 1) % 4] - corners[k], (0, height, 0), colours[rng.integers(len(colours))],
              repeat or room * rng.uniform(0.8, 2)).moved(turn)
        for k in range(4)
    ]  # fmt: skip


def _around(thing: Surface, angle: float, distance: float) -> Surface:
    """A thing on the ground at a distance from the middle, its front towards the middle."""
    return thing.moved(angle, distance * np.array([np.sin(angle), 0, np.cos(angle)]))


def _against_wall(thing: Surface, room: float, rng: np.random.Generator) -> Surface:
    return _around(thing, rng.uniform(0, 2 * np.pi), room * rng.uniform(0.86, 0.97))


def _furniture(rng: np.random.Generator) -> Surface:
    """A cupboard, a table, a sofa or a lamp, roughly."""
    kind, colour = rng.choice(4), any_colour(rng, 0.6)
    if kind == 0:
        return block(rng.uniform((500, 700, 300), (1600, 2100, 600)), clutter(96, colour, rng))
    if kind == 1:
        w, h, d = rng.uniform((800, 650, 600), (1800, 780, 1000))
        top = block((w, 40, d), planks(64, colour, rng)).moved(0, (0, h, 0))
        legs = [block((50, h, 50), top.colour).moved(0, (x * (w / 2 - 60), 0, z * (d / 2 - 60)))
                for x in (-1, 1) for z in (-1, 1)]  # fmt: skip
        return joined([top, *legs])
    if kind == 2:
        w, h, d = rng.uniform((900, 380, 700), (2200, 460, 900))
        seat = block((w, h, d), rough(64, colour, rng))
        return joined([seat, block((w, 2 * h, 180), seat.colour).moved(0, (0, 0, d / 2))])
    return _stand(rng)


def _equipment(rng: np.random.Generator) -> Surface:
    if rng.random() < 0.5:
        return _stand(rng)
    return block(rng.uniform((400, 500, 300), (1400, 1600, 700)), rough(64, any_colour(rng, 0.25), rng))


def _stand(rng: np.random.Generator) -> Surface:
    """A stand with a lamp or a camera on it."""
    top = rng.uniform(1200, 2200)
    return round_body([200, 25, 20, 20, 130, 150, 5], [0, 30, 60, top, top + 10, top + 200, top + 240],
                      any_colour(rng, 0.2) * 0.5, around=8)  # fmt: skip


def _pole(rng: np.random.Generator) -> Surface:
    r, h = rng.uniform(30, 130), rng.uniform(1500, 4500)
    return round_body([r, r, 0], [0, h, h], any_colour(rng, 0.4), around=10)


def _tree(rng: np.random.Generator) -> Surface:
    h, r = rng.uniform(2000, 4500), rng.uniform(900, 2200)
    leaves = rough(48, jittered([0.2, 0.36, 0.13], rng, 0.06), rng)
    leaves[:, :, :] = np.where(rng.random((48, 48, 1)) < 0.3, leaves * 0.5, leaves)
    bark = leaves.copy()
    bark[:] = jittered([0.3, 0.22, 0.15], rng, 0.03)
    angles = np.linspace(0.25, np.pi, 8)
    lumps = 1 + 0.15 * rng.standard_normal(8)
    crown = round_body(r * np.sin(angles) * lumps, h + r * (1 - np.cos(angles)) * 0.9, np.concatenate([leaves, bark]))
    trunk = round_body([r * 0.11, r * 0.09], [0, h + 0.3 * r], crown.colour, around=8)
    return joined(
        [replace(crown, places=crown.places * [1, 0.5]), replace(trunk, places=trunk.places * [1, 0.4] + [0, 0.55])]
    )


def _bush(rng: np.random.Generator) -> Surface:
    """Leaves in all directions from a place near the ground."""
    size = rng.uniform(450, 1300)
    count = 160
    middle = rng.standard_normal((count, 3)) * [0.25, 0.22, 0.25] * size + [0, 0.5 * size, 0]
    middle[:, 1] = np.abs(middle[:, 1])
    first, second = rng.standard_normal((2, count, 3)) * 0.09 * size
    vertices = np.stack([middle, middle + first, middle + second, middle + first + second], axis=1).reshape(-1, 3)
    corner = 4 * np.arange(count)[:, None]
    triangles = np.concatenate([corner + np.array([0, 1, 3]), corner + np.array([0, 3, 2])])
    shade = rng.uniform(0.5, 1.3, (count, 1)) * jittered([0.22, 0.4, 0.15], rng, 0.06)
    return Surface(vertices, triangles, np.repeat(np.clip(shade, 0, 1), 4, axis=0).astype(np.float32))


def _car(rng: np.random.Generator) -> Surface:
    colour = any_colour(rng, 0.9)
    side = np.ones((64, 64, 3), np.float32) * colour
    side[40:] = 0.04
    body = block((4200, 800, 1750), side).moved(0, (0, 250, 0))
    cabin = np.ones((64, 64, 3), np.float32) * colour
    cabin[10:50, 6:58] = 0.12
    top = block((2300, 560, 1500), np.concatenate([side, cabin])).moved(0, (100, 1050, 0))
    wheels = [block((620, 600, 180), side).moved(0, (x, 0, z)) for x in (-1350, 1350) for z in (-850, 850)]
    parts = [body, *wheels]
    lower = [replace(p, places=p.places * [1, 0.5] if p is body else 0 * p.places + [0.5, 0.45]) for p in parts]
    return joined([replace(top, places=top.places * [1, 0.5] + [0, 0.5]), *lower])


def _rug(rng: np.random.Generator) -> Colours:
    inner = mixed(np.rint(cloudy((64, 64), rng, 8, 2)), any_colour(rng), any_colour(rng))
    inner[:4] = inner[-4:] = inner[:, :4] = inner[:, -4:] = any_colour(rng)
    return inner


def _indoors(room: float, rng: np.random.Generator) -> tuple[Light, ...]:
    """A main lamp, two others under the ceiling, and what the floor throws back."""
    warm = np.array([1.0, 0.94, 0.85]) if rng.random() < 0.6 else np.array([0.93, 0.97, 1.0])
    lights, start = [], rng.uniform(0, 2 * np.pi)
    for number, (weak, strong) in enumerate(((0.9, 1.7), (0.5, 1.1), (0.5, 1.1))):
        angle, far = start + 2.1 * number + rng.uniform(-0.6, 0.6), room * rng.uniform(0.4, 0.85)
        place = np.array([far * np.sin(angle), rng.uniform(1900, 2700), far * np.cos(angle)])
        lights.append(_lamp(place, rng.uniform(weak, strong) * warm))
    return (*lights, _lamp([rng.uniform(-1500, 1500), 500, rng.uniform(-1500, 1500)], rng.uniform(0.1, 0.3) * warm))


def _lamp(place: ArrayLike, colour: ArrayLike) -> Light:
    """A lamp that gives so much light in the middle, however far it stands."""
    place = np.asarray(place, float)
    far = max(float(np.linalg.norm(place)), 1000.0) / 2000
    return Light((np.asarray(colour) * far**2).astype(np.float32), place=place)


def _outdoors(rng: np.random.Generator) -> tuple[Light, ...]:
    """The sun (or clouds in its place), and the sky as light from two sides and above."""
    cloudy_day = rng.random() < 0.35
    height, angle = np.radians(rng.uniform(22, 75)), rng.uniform(0, 2 * np.pi)
    sun = rng.uniform(0.6, 1.2) * np.array([1, 0.98, 0.95]) if cloudy_day else rng.uniform(2, 3.2) * np.array(
        [1, 0.94, 0.78 + 0.12 * np.sin(height)]
    )  # fmt: skip
    sky = rng.uniform(0.5, 0.9) * np.array([0.85, 0.95, 1.1])
    lights = [Light(sun.astype(np.float32), direction=_from(angle, height))]
    for turn, share, up in ((2.2, 1.0, 0.7), (4.1, 0.8, 0.55), (0.4, 0.7, 1.4)):
        lights.append(Light((share * sky).astype(np.float32), direction=_from(angle + turn, up)))
    return tuple(lights)


def _from(angle: float, height: float) -> Floats:
    """The way that light goes from a height in radians above the horizon."""
    return -np.array([np.cos(height) * np.sin(angle), np.sin(height), np.cos(height) * np.cos(angle)])


def _dim() -> NDArray[np.float32]:
    return np.full(3, 0.25, np.float32)


def _sky(rng: np.random.Generator) -> NDArray[np.float32]:
    """A panorama of the sky: blue to pale at the horizon, with clouds; below the horizon the ground's haze."""
    up = np.clip(1 - np.arange(64) / 32, 0, 1)[:, None] ** 0.6
    zenith, horizon = jittered([0.25, 0.45, 0.85], rng, 0.05), jittered([0.85, 0.9, 0.95], rng, 0.04)
    clouds = np.clip((cloudy((64, 128), rng, 10, 4) - rng.uniform(0.3, 0.8)) * 4, 0, 1)
    sky = mixed(np.broadcast_to(up, (64, 128)), horizon, zenith)
    return (sky * (1 - 0.8 * clouds[..., None]) + 0.8 * clouds[..., None]).astype(np.float32)
