"""Pictures of surfaces under lights, by the renderer Mitsuba 3: headless, on the CPU or an NVIDIA GPU.

The CPU's variant is `scalar_rgb`, which needs nothing beside Mitsuba's wheel (the `llvm` ones end the process where the
system's LLVM is old); the GPU's is `cuda_ad_rgb`. All light comes from a few points or directions, with shadows, and is
not reflected further. Each of the rays of a pixel asks another light (the sampler is stratified), so that as many rays
as lights already give a picture without grain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.rotations import Floats
from skelbridge.body.surfaces import NOBODY, Surface, vertex_normals
from skelbridge.camera import Camera
from skelbridge.errors import InputError, need

Device = Literal["cpu", "gpu"]
VARIANTS = {"cpu": "scalar_rgb", "gpu": "cuda_ad_rgb"}
#: Displays show a value as about its GAMMA-th power.
GAMMA = 2.2
#: The renderer works in metres.
METRE = 1e-3

_made: WeakKeyDictionary[Surface, Any] = WeakKeyDictionary()


#: As many rays a pixel, and a multiple of them, ask every light equally often.
MOST_LIGHTS = 4


@dataclass(frozen=True, eq=False)
class Light:
    """Light from a place (3,) mm, or from so far away that it has a direction only, (3,), the way that it goes.

    colour (3,): what falls on a surface that faces it; of a place: from two metres' distance.
    """

    colour: NDArray[np.float32]
    direction: Floats | None = None
    place: Floats | None = None


class Stage:
    """Surfaces and at most `MOST_LIGHTS` lights made ready, to be seen by any number of cameras.

    sky: what is seen where no surface is: a colour of light (3,), or a panorama (height, width, 3), zenith first.
    device: "cpu" or "gpu"; one process renders on one. Raises MissingExtraError where Mitsuba is not installed,
    InputError where the device is not there.
    """

    def __init__(self, surfaces: Sequence[Surface], lights: Sequence[Light], sky: NDArray[np.float32],
                 device: Device = "cpu"):  # fmt: skip
        self._mitsuba = _mitsuba(device)
        lit = {f"light{number}": _light(light) for number, light in enumerate(lights)}
        shapes = {f"shape{number}": _shape(self._mitsuba, surface) for number, surface in enumerate(surfaces)}
        self._scene = self._mitsuba.load_dict({"type": "scene", **shapes, **lit, "sky": _sky(self._mitsuba, sky)})
        self._people: dict[int, Any] = {}
        for person in {surface.person for surface in surfaces} - {NOBODY}:
            own = {name: s for (name, s), of in zip(shapes.items(), surfaces, strict=True) if of.person == person}
            self._people[person] = self._mitsuba.load_dict({"type": "scene", **own})

    def light(self, camera: Camera, size: tuple[int, int], rays: int = 4, seed: int = 0) -> NDArray[np.float32]:
        """The light that a camera sees, (height, width, 3), linear: a picture of `size` (width, height).

        rays: a pixel; a multiple of four. Raises InputError for a camera with a distorting lens or pixels that are not
        square.
        """
        direct = self._mitsuba.load_dict({"type": "direct", "emitter_samples": 1, "bsdf_samples": 0})
        sensor = self._sensor(camera, size, rays)
        found = self._mitsuba.render(self._scene, sensor=sensor, integrator=direct, seed=seed, spp=rays)
        return np.asarray(found, np.float32)[..., :3]

    def pixels_of(self, person: int, camera: Camera, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Which pixels show a person, (height, width): one ray each meets him first of all. Raises as `light`."""
        depth, sensor = self._mitsuba.load_dict({"type": "depth"}), self._sensor(camera, size, 1)
        alone, among = (
            np.asarray(self._mitsuba.render(scene, sensor=sensor, integrator=depth, seed=0, spp=1))[..., 0]
            for scene in (self._people[person], self._scene)
        )
        return (alone > 0) & (np.abs(alone - among) < 1e-4)

    def _sensor(self, camera: Camera, size: tuple[int, int], samples: int) -> Any:
        matrix, rotation = np.asarray(camera.matrix), np.asarray(camera.rotation)
        if np.any(camera.distortion) or matrix[0, 1] != 0 or not np.isclose(matrix[0, 0], matrix[1, 1]):
            raise InputError("a camera to render with", expected="square pixels and no distortion", got=camera)
        # Mitsuba's camera looks along +z with x left and y up, and its pixels begin where ours have their middle - 0.5.
        pose = np.eye(4)
        pose[:3, :3] = np.stack([-rotation[0], -rotation[1], rotation[2]], axis=1)
        pose[:3, 3] = METRE * camera.position
        width, height = size
        return self._mitsuba.load_dict({
            "type": "perspective", "near_clip": 0.05, "far_clip": 1000.0, "fov_axis": "x",
            "fov": float(np.degrees(2 * np.arctan(width / 2 / matrix[0, 0]))),
            "principal_point_offset_x": float(0.5 - (matrix[0, 2] + 0.5) / width),
            "principal_point_offset_y": float(0.5 - (matrix[1, 2] + 0.5) / height),
            "to_world": self._mitsuba.ScalarTransform4f(pose),
            "film": {"type": "hdrfilm", "width": width, "height": height, "rfilter": {"type": "box"},
                     "pixel_format": "rgb", "component_format": "float32"},
            "sampler": {"type": "multijitter" if samples > 1 else "independent", "sample_count": samples},
        })  # fmt: skip


def _shape(mitsuba: Any, surface: Surface) -> Any:
    """A surface as the renderer has it; made once."""
    if surface in _made:
        return _made[surface]
    properties = mitsuba.Properties()
    textured = surface.colour.ndim == 3
    properties["bsdf"] = mitsuba.load_dict(_material(mitsuba, surface))
    count = len(surface.vertices)
    mesh = mitsuba.Mesh(
        "surface", count, len(surface.triangles), has_vertex_normals=surface.smooth, has_vertex_texcoords=textured,
        props=properties,
    )  # fmt: skip
    if surface.colour.ndim == 2:
        mesh.add_attribute("vertex_color", 3, _linear(surface.colour).ravel())
    values = mitsuba.traverse(mesh)
    values["vertex_positions"] = (METRE * surface.vertices).astype(np.float32).ravel()
    values["faces"] = surface.triangles.astype(np.uint32).ravel()
    if surface.smooth:
        normals = vertex_normals(surface.vertices, surface.triangles)
        values["vertex_normals"] = normals.astype(np.float32).ravel()
    if textured:
        flipped = surface.places * [1, -1] + [0, 1]  # Mitsuba's y goes up
        values["vertex_texcoords"] = flipped.astype(np.float32).ravel()
    values.update()
    _made[surface] = mesh
    return mesh


def _material(mitsuba: Any, surface: Surface) -> dict[str, Any]:
    colour = surface.colour
    if colour.ndim == 1:
        shade = _rgb(_linear(colour))
    elif colour.ndim == 2:
        shade = {"type": "mesh_attribute", "name": "vertex_color"}
    else:
        bitmap = mitsuba.Bitmap(np.ascontiguousarray(_linear(colour)))
        shade = {"type": "bitmap", "bitmap": bitmap, "raw": True}
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": shade}}


def _sky(mitsuba: Any, sky: NDArray[np.float32]) -> dict[str, Any]:
    """What is seen where nothing is; it sheds no light."""
    if sky.ndim == 3:
        bitmap = mitsuba.Bitmap(np.ascontiguousarray(sky, np.float32))
        return {"type": "envmap", "bitmap": bitmap, "sampling_weight": 0.0}
    return {"type": "constant", "radiance": _rgb(sky), "sampling_weight": 0.0}


def _light(light: Light) -> dict[str, Any]:
    if light.direction is not None:
        return {
            "type": "directional",
            "direction": [float(x) for x in light.direction],
            "irradiance": _rgb(light.colour),
        }
    if light.place is None:
        raise InputError("a light", expected="a direction or a place", got="neither")
    return {"type": "point", "position": [METRE * float(x) for x in light.place], "intensity": _rgb(4 * light.colour)}


def _linear(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(colour, 0, 1).astype(np.float32) ** np.float32(GAMMA)


def _rgb(colour: NDArray[np.float32]) -> dict[str, Any]:
    return {"type": "rgb", "value": [float(x) for x in colour]}


def _mitsuba(device: Device) -> Any:
    """Mitsuba on a device, quiet."""
    mitsuba = need("mitsuba", "virtual")
    if device not in VARIANTS:
        raise InputError("the device to render on", expected="cpu or gpu", got=repr(device))
    before = mitsuba.variant()
    if before == VARIANTS[device]:
        return mitsuba
    try:
        mitsuba.set_variant(VARIANTS[device])
    except Exception as error:  # whatever the driver's absence leads to
        if before is not None:
            mitsuba.set_variant(before)
        raise InputError("the device to render on", expected="one that is there", got=f"{device}: {error}") from error
    _made.clear()
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    return mitsuba


def exposed(light: NDArray[np.float32], exposure: float, white: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture (height, width, 3) as a camera shows it: light times exposure and white balance (3,), rolled off."""
    value = np.maximum(light * (np.float32(exposure) * white), 0)
    shown = (value * (1 + value / 9) / (1 + value)) ** np.float32(1 / GAMMA)  # Reinhard 2002, white at 3
    return np.round(255 * np.clip(shown * np.float32(1.1), 0, 1)).astype(np.uint8)
