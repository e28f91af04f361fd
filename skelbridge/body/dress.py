"""People to look at: skin, hair and clothes on the virtual body's mesh.

A garment is a part of the mesh, chosen on the middle adult in the reference pose (`Wardrobe`), smoothed and pushed
outward; the skin below it is left out. A skirt is a tube about the thighs. So clothes follow any shape and pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.body.model import VirtualBody, middle_shapes
from skelbridge.body.patterns import HAIR, SKIN, Colours, any_colour, cloth, cloudy, jittered
from skelbridge.body.rotations import Floats, unit
from skelbridge.body.surfaces import Surface, grid, vertex_normals
from skelbridge.errors import need

Mask = NDArray[np.bool_]

#: Heights of the middle adult in the reference pose, mm above the pelvis.
NECK, WAIST, CROTCH, KNEE, ANKLE, SOLE = 575.0, 70.0, -75.0, -455.0, -880.0, -968.0
#: Kinds of tops by how far sleeves reach from the shoulder, mm; the wrist is at 500.
SLEEVES = {"none": 40.0, "short": 190.0, "half": 300.0, "long": 490.0}


@dataclass(frozen=True, eq=False)
class Garment:
    """A part of the mesh: its vertices (G,), triangles among them, places in the cloth (G, 2) m; how often it is
    smoothed; how far it stands off (G,) mm, folds included; its texture, or a colour a vertex (G, 3)."""

    vertices: NDArray[np.intp]
    triangles: NDArray[np.int64]
    places: Floats
    smoothing: Any
    rounds: int
    loose: Floats
    colour: Colours


@dataclass(frozen=True, eq=False)
class Skirt:
    """A tube from the waist down: how far along the thighs and shins (1 at the knee), how wide, its texture."""

    length: float
    flare: float
    colour: Colours


@dataclass(frozen=True, eq=False)
class Outfit:
    """All that one sees of a person beside shape and pose: the skin's colours (vertices, 3) and triangles that no
    garment hides, garments from the skin outward, and perhaps a skirt."""

    skin: Colours
    bare: NDArray[np.int64]
    garments: tuple[Garment, ...]
    skirt: Skirt | None


@dataclass(frozen=True, eq=False)
class Person:
    """What stays of a person whatever he wears: skin and hair."""

    skin: Colours
    hair: Colours
    style: str
    beard: float


def random_person(rng: np.random.Generator) -> Person:
    """Skin of any tone, hair that may go with it, long or short or none."""
    tone = int(rng.integers(len(SKIN)))
    usual = HAIR if tone < 4 else HAIR[:3] + HAIR[-2:]
    style = str(rng.choice(["short", "crop", "long", "bun", "bald"], p=[0.38, 0.17, 0.27, 0.1, 0.08]))
    beard = float(rng.choice([0.0, 0.35, 0.75], p=[0.7, 0.15, 0.15])) if style in ("short", "crop", "bald") else 0.0
    return Person(jittered(SKIN[tone], rng, 0.02), jittered(usual[rng.integers(len(usual))], rng, 0.02), style, beard)


class Wardrobe:
    """Cuts clothes for a body; what it needs to know of the mesh is found once."""

    def __init__(self, body: VirtualBody):
        sparse = need("scipy.sparse", "body")
        self.triangles = body.triangles
        self.rest = body.mesh(np.eye(3), middle_shapes(1))
        count = len(self.rest)
        names = np.array(body.bones)[np.asarray(body.skinning.argmax(axis=1)).ravel()]
        self.arm = _named(names, ("upperarm", "lowerarm", "wrist", "finger", "metacarpal"))
        self.hand = _named(names, ("wrist", "finger", "metacarpal"))
        self.foot = _named(names, ("foot", "toe"))
        self.leg = _named(names, ("upperleg", "lowerleg", "foot", "toe"))
        self.head = _named(names, ("head", "eye")) | (_named(names, ("neck",)) & (self.rest[:, 1] > 600))
        self.sleeve, across = _along_arms(body, self.rest, names)
        torso = np.stack([0.5 + (self.rest[:, 0] + 0.3 * self.rest[:, 2]) / 1000, (600 - self.rest[:, 1]) / 1000], 1)
        sleeves = np.stack([0.06 + across / 1000, (self.sleeve + 40) / 1000], axis=1)
        self.places = np.where(self.arm[:, None], sleeves, torso)
        edges = np.concatenate([self.triangles[:, [0, 1]], self.triangles[:, [1, 2]], self.triangles[:, [2, 0]]])
        ones = np.ones(len(edges), np.float32)
        near = sparse.csr_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
        self.near = ((near + near.T) > 0).astype(np.float32)
        self.points = dict(zip(body.points.names, body.rest(middle_shapes(1))[0], strict=True))
        self.eyes = _named(names, ("eye",))

    def random_outfit(self, person: Person, rng: np.random.Generator, kinds: dict[str, float], vivid: float) -> Outfit:
        """Clothes for a person; kinds: of cloth, by weight (see `patterns.CLOTH`); vivid: how colourful, 0 to 1."""
        garments, skirt = [], None
        dress = rng.random() < 0.12
        below = (
            "skirt" if dress or rng.random() < 0.1 else str(rng.choice(["long", "shorts", "knee"], p=[0.68, 0.2, 0.12]))
        )
        upper = cloth(rng, kinds, vivid)
        top = self._top(upper, rng, tucked=below == "skirt")
        if rng.random() < 0.93:
            garments.append(self._shoes(rng))
        if below == "skirt":
            skirt = Skirt(rng.uniform(0.55, 1.5), rng.uniform(0.9, 1.5), upper if dress else cloth(rng, kinds, vivid))
        else:
            trousers = {k: w for k, w in kinds.items() if k != "prints"} if rng.random() < 0.3 else {"plain": 1.0}
            outer = self._deep(top.vertices)
            garments.append(self._bottom(below, cloth(rng, trousers or {"plain": 1.0}, vivid * 0.6), outer, rng))
        garments.append(top)
        if person.style != "bald":
            garments.append(self._hair(person, rng))
        elif rng.random() < 0.5:
            garments.append(self._cap(rng))
        hidden = np.zeros(len(self.rest), bool)
        for garment in garments:
            hidden |= self._deep(garment.vertices)
        if skirt is not None:
            hidden |= ~self.arm & (self.rest[:, 1] < WAIST - 30) & (self.rest[:, 1] > CROTCH - 130)
        bare = self.triangles[~hidden[self.triangles].all(axis=1)]
        return Outfit(self._skin(person, rng), bare, tuple(garments), skirt)

    def _top(self, colour: Colours, rng: np.random.Generator, tucked: bool) -> Garment:
        y, z = self.rest[:, 1], self.rest[:, 2]
        sleeve = SLEEVES[str(rng.choice(list(SLEEVES), p=[0.08, 0.42, 0.08, 0.42]))]
        hem = WAIST - 25 if tucked else rng.uniform(-110, 20)
        neck = NECK + rng.uniform(-12, 25) - np.clip(z - 20, 0, None) * rng.choice([0.2, 0.5, 0.9])
        body = ~self.arm & ~self.head & (y > hem) & (y < neck)
        return self._cut(body | (self.arm & (self.sleeve < sleeve)), colour, rng, rng.uniform(12, 24), 6)

    def _bottom(self, kind: str, colour: Colours, outer: Mask, rng: np.random.Generator) -> Garment:
        y = self.rest[:, 1]
        hem = {"long": ANKLE + rng.uniform(-15, 10), "shorts": rng.uniform(-330, -230), "knee": KNEE - 30}[kind]
        covered = ~self.arm & (y < WAIST + rng.uniform(-20, 30)) & (y > hem) & ~(self.foot & (y < ANKLE - 20)) & ~outer
        return self._cut(covered, colour, rng, rng.uniform(5, 11), 4)

    def _shoes(self, rng: np.random.Generator) -> Garment:
        y = self.rest[:, 1]
        top = ANKLE - 25 if rng.random() < 0.75 else ANKLE + rng.uniform(60, 160)
        covered = self.leg & (y < top)
        upper, sole = any_colour(rng, 0.5), any_colour(rng, 0.1)
        shoe = self._cut(covered, upper, rng, 6.0, 12, folds=0.0)
        low = self.rest[shoe.vertices, 1] < SOLE
        return _painted(shoe, np.where(low[:, None], sole, upper))

    def _scalp(self, shift: float, ears: bool) -> Mask:
        """Where hair grows; shift: mm that the line of hair lies further up."""
        x, y, z = self.rest.T
        grows = (y - 742 - shift) - 0.72 * (z - 38) > 0
        ear = (np.abs(x) > 71) & (y < 765) & (z < 62)
        return self.head & grows & ~self.eyes & (y > 662) & (ears | ~ear)

    def _hair(self, person: Person, rng: np.random.Generator) -> Garment:
        x, y, z = self.rest.T
        long = person.style == "long"
        covered = self._scalp(rng.uniform(-8, 14), ears=long)
        if long:
            low = rng.uniform(450, 590)
            covered |= ~self.arm & (z < 18) & (np.abs(x) < 88) & (y > low) & (y < 720)
        thick = {"short": 13.0, "crop": 5.0, "long": 21.0, "bun": 10.0}[person.style] * rng.uniform(0.8, 1.3)
        garment = self._cut(covered, person.hair, rng, thick, 6 if long else 2, folds=0.25)
        strands = 1 + 0.22 * np.sin(self.rest[garment.vertices] @ rng.normal(0, 0.25, 3) + rng.uniform(0, 6))
        strands *= rng.normal(1, 0.1, len(garment.vertices))
        if person.style == "bun":
            place = np.array([0.0, 800.0, -60.0])
            close = np.exp(-np.sum((self.rest[garment.vertices] - place) ** 2, axis=1) / 42**2)
            garment.loose[:] += 55 * close
        return _painted(garment, np.clip(person.hair * strands[:, None], 0, 1))

    def _cap(self, rng: np.random.Generator) -> Garment:
        colour = any_colour(rng, 0.9)
        garment = self._cut(self._scalp(rng.uniform(-15, 10), ears=False), colour, rng, 11.0, 4, folds=0.0)
        return _painted(garment, np.broadcast_to(colour, (len(garment.vertices), 3)))

    def _cut(self, covered: Mask, colour: Colours, rng: np.random.Generator, loose: float, rounds: int,
             folds: float = 0.35) -> Garment:  # fmt: skip
        """The part of the mesh whose vertices are `covered`, `loose` mm off the skin with folds of a share of that."""
        sparse = need("scipy.sparse", "body")
        chosen = self.triangles[covered[self.triangles].all(axis=1)]
        used = np.unique(chosen)
        triangles = np.searchsorted(used, chosen)
        edge = self.near[used][:, used]
        outer = self._at_edge(triangles, len(used))
        weights = sparse.diags(1 / np.maximum(np.asarray(edge.sum(axis=1)).ravel(), 1)) @ edge
        inner = sparse.diags((~outer).astype(np.float32))
        smoothing = (inner @ weights + sparse.diags(outer.astype(np.float32))).tocsr()
        waves = sum(
            np.sin(self.rest[used] @ rng.normal(0, 2 * np.pi / length, 3) + rng.uniform(0, 6))
            for length in (90, 150, 240)
        )
        off = np.where(outer, 0.75, 1.0) * loose * (1 + folds * waves / 2)
        return Garment(used, triangles, self.places[used], smoothing, rounds, np.maximum(off, 3.0), colour)

    def _at_edge(self, triangles: NDArray[np.int64], count: int) -> Mask:
        """Which of `count` vertices lie on an open edge of triangles."""
        edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
        found, times = np.unique(edges[:, 0] * count + edges[:, 1], return_counts=True)
        outer = np.zeros(count, bool)
        outer[found[times == 1] // count] = outer[found[times == 1] % count] = True
        return outer

    def _deep(self, vertices: NDArray[np.intp]) -> Mask:
        """Vertices of the skin that lie two rings and more inside a garment."""
        open_skin = np.ones(len(self.rest), np.float32)
        open_skin[vertices] = 0
        return (open_skin + self.near @ (self.near @ open_skin)) == 0

    def _skin(self, person: Person, rng: np.random.Generator) -> Colours:
        """Colours of the skin, (vertices, 3), with brows, lips and eyes."""
        uneven = cloudy((64, 64), rng, 6, 2)
        at = (self.places * 64).astype(int) % 64
        skin = person.skin * (0.93 + 0.12 * uneven[at[:, 1], at[:, 0]])[:, None]
        brow = person.hair * 0.6 if person.style != "bald" else person.skin * 0.45
        self._paint(skin, [n for n in self.points if "brow" in n], 5.5, brow)
        self._paint(skin, [n for n in self.points if "_lip_" in n], 4.5, person.skin * [0.86, 0.6, 0.58])
        self._paint(skin, [n for n in self.points if "_lash" in n], 2.2, person.skin * 0.45)
        if person.beard:
            jaw = self.head & (self.rest[:, 1] < 690) & (self.rest[:, 2] > 45) & (self.rest[:, 1] > 612)
            skin[jaw] = skin[jaw] * (1 - person.beard) + person.hair * person.beard
        skin[self.eyes] = 0.92
        pupils = ["left_pupil", "right_pupil"]
        self._paint(skin, pupils, 6.2, rng.choice(np.array([[0.3, 0.18, 0.1], [0.25, 0.4, 0.55], [0.3, 0.38, 0.2]])))
        self._paint(skin, pupils, 2.6, np.full(3, 0.03))
        return np.clip(skin, 0.01, 1).astype(np.float32)

    def _paint(self, skin: Floats, names: list[str], radius: float, colour: ArrayLike) -> None:
        tree = need("scipy.spatial", "body").cKDTree(np.array([self.points[name] for name in names]))
        skin[tree.query(self.rest, distance_upper_bound=radius)[0] < radius] = colour


@lru_cache(maxsize=1)
def wardrobe(body: VirtualBody) -> Wardrobe:
    """The wardrobe of a body."""
    return Wardrobe(body)


def dressed(outfit: Outfit, vertices: Floats, heads: Floats, body: VirtualBody, person: int) -> list[Surface]:
    """The surfaces of a posed body: its vertices (V, 3) and bone heads (bones, 3) in mm; person: his number."""
    normals = vertex_normals(vertices, body.triangles)
    surfaces = [Surface(vertices, outfit.bare, outfit.skin, smooth=True, shine=0.1, person=person)]
    for garment in outfit.garments:
        places, normal = vertices[garment.vertices], normals[garment.vertices]
        for _ in range(garment.rounds):
            places = garment.smoothing @ places
        surfaces.append(
            Surface(places + garment.loose[:, None] * normal, garment.triangles, garment.colour,
                    garment.places, smooth=True, person=person)
        )  # fmt: skip
    if outfit.skirt is not None:
        surfaces.append(_skirt(outfit.skirt, heads, body, person))
    return surfaces


def _skirt(skirt: Skirt, heads: Floats, body: VirtualBody, person: int) -> Surface:
    at = dict(zip(body.bones, heads, strict=True))
    left = np.stack([at["upperleg01.L"], at["lowerleg01.L"], at["foot.L"]])
    right = np.stack([at["upperleg01.R"], at["lowerleg01.R"], at["foot.R"]])
    size = np.linalg.norm(left[1] - left[0]) / 430
    middle_up = unit(at["spine03"] - at["root"])
    sideways = unit(left[0] - right[0])
    forward = unit(np.cross(sideways, middle_up))
    waist = at["root"] + 75 * size * middle_up - 5 * size * forward
    rings, angles = [], np.linspace(0, 2 * np.pi, 25)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rings.append(waist + circle * [165 * size, 125 * size] @ np.stack([sideways, forward]))
    for share in np.linspace(0, skirt.length, 8):
        a, b = _down(left, share), _down(right, share)
        wide = (95 + 45 * skirt.flare * share) * size
        thigh = unit(_down(left, share + 0.1) + _down(right, share + 0.1) - a - b)
        along = unit(a - b + 1e-3 * sideways)
        across = unit(np.cross(along, -thigh))
        half = np.linalg.norm(a - b) / 2 + wide
        fold = 1 + 0.05 * share * np.sin(7 * angles + 9 * skirt.flare)
        rings.append((a + b) / 2 + fold[:, None] * circle * [half, wide + 25 * size] @ np.stack([along, across]))
    share = np.broadcast_to(np.linspace(0, 0.6, len(rings))[:, None], (len(rings), 25))
    places = np.stack([np.broadcast_to(angles / np.pi, share.shape), share], axis=-1).reshape(-1, 2)
    return Surface(np.concatenate(rings), grid(len(rings), 25), skirt.colour, places, smooth=True, person=person)


def _down(leg: Floats, share: float) -> Floats:
    """A point of a leg (hip, knee, ankle): 0 at the hip, 1 at the knee, 2 at the ankle."""
    part = min(int(share), 1)
    return leg[part] + (share - part) * (leg[part + 1] - leg[part])


def _painted(garment: Garment, colours: ArrayLike) -> Garment:
    """The same garment with a colour a vertex."""
    return Garment(
        garment.vertices, garment.triangles, garment.places, garment.smoothing, garment.rounds, garment.loose,
        np.ascontiguousarray(colours, np.float32),
    )  # fmt: skip


def _named(names: NDArray[np.str_], starts: tuple[str, ...]) -> Mask:
    return np.logical_or.reduce([np.char.startswith(names, start) for start in starts])


def _along_arms(body: VirtualBody, rest: Floats, names: NDArray[np.str_]) -> tuple[Floats, Floats]:
    """How far vertices lie along the arm, from the shoulder, and across it, (vertices,) mm each."""
    heads = dict(zip(body.bones, body.reference_heads, strict=True))
    along, across = np.full(len(rest), np.inf), np.zeros(len(rest))
    for side in "LR":
        shoulder, elbow, wrist = (heads[f"{name}.{side}"] for name in ("upperarm01", "lowerarm01", "wrist"))
        for start, end, bones, before in (
            (shoulder, elbow, ("upperarm",), 0.0),
            (elbow, wrist, ("lowerarm", "wrist", "finger", "metacarpal"), float(np.linalg.norm(elbow - shoulder))),
        ):
            mine = _named(names, bones) & np.char.endswith(names, side)
            direction, offset = unit(end - start), rest[mine] - start
            aside = unit(np.cross(direction, [0.0, 1.0, 0.0]))
            along[mine] = before + offset @ direction
            across[mine] = offset @ aside + 0.6 * offset @ np.cross(direction, aside)
    return along, across
