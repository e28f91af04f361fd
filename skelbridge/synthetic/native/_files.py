"""Writers of the containers that several datasets use. Folders are made as needed."""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.io import savemat

from skelbridge.errors import InputError, need

Image = NDArray[np.uint8]

#: Codec, pixel format and options of a video; FFV1 has no loss. And which is taken by suffix.
_CODECS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "yuv420p", {"crf": "14", "preset": "veryfast"}),
    "mjpeg": ("mjpeg", "yuvj420p", {"qmin": "2", "qmax": "4"}),
    "ffv1": ("ffv1", "bgr0", {}),
    "raw": ("rawvideo", "bgr24", {}),
}
_USUAL: Mapping[str, str] = {".mp4": "h264", ".avi": "mjpeg", ".mkv": "ffv1"}


def new(path: Path) -> Path:
    """The path, with a folder to lie in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_text(path: Path, text: str) -> None:
    """UTF-8, line ends as they are in the text."""
    new(path).write_bytes(text.encode())


def write_json(path: Path, value: Any) -> None:
    """JSON on one line; arrays become lists."""
    write_text(path, json.dumps(value, default=lambda x: x.tolist()))


def write_npz(path: Path, **arrays: ArrayLike) -> None:
    """Compressed npz."""
    np.savez_compressed(new(path), **arrays)  # type: ignore[arg-type]


def write_image(path: Path, image: NDArray[Any], quality: int = 88) -> None:
    """A picture (height, width[, 3]), uint8, 16 bits or bool (as 0 and 255), as its suffix says."""
    values = np.asarray(image)
    values = values * np.uint8(255) if values.dtype == bool else values
    need("PIL.Image", "data").fromarray(values).save(new(path), quality=quality)


def write_video(path: Path, frames: Iterable[Image], fps: float | Fraction = 25, codec: str = "") -> None:
    """Frames (height, width, 3), of even sizes, as .mp4 (h264), .avi (mjpeg) or .mkv (ffv1); or raw, or as said."""
    encoder, pixels, options = _CODECS[codec or _USUAL[path.suffix.lower()]]
    av = need("av", "data")
    with av.open(str(new(path)), "w") as file:
        stream = None
        for frame in frames:
            if stream is None:
                stream = file.add_stream(encoder, rate=Fraction(fps).limit_denominator(1001), options=options)
                stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], pixels
                stream.codec_context.thread_count = 1
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        if stream is None:
            raise InputError(f"frames of {path.name}", expected="at least one", got="none")
        file.mux(stream.encode(None))


def cell(values: Sequence[Any], *shape: int) -> NDArray[Any]:
    """A MATLAB cell array: 1 x n, or of a shape (filled row by row)."""
    cells = np.empty(len(values), object)
    for number, value in enumerate(values):
        cells[number] = value
    return cells.reshape(shape or (1, -1))


def structs(entries: Sequence[Mapping[str, Any]]) -> NDArray[Any]:
    """A MATLAB struct array, 1 x n, for version 5; all entries have the same fields."""
    array = np.empty((1, len(entries)), [(name, object) for name in entries[0]])
    for number, entry in enumerate(entries):
        for name, value in entry.items():
            array[name][0, number] = value
    return array


def write_mat5(path: Path, variables: Mapping[str, Any], compressed: bool = True) -> None:
    """MATLAB v5. Dicts are structs, `cell`s cells; one-dimensional arrays become rows, lists arrays."""
    savemat(new(path), dict(variables), do_compression=compressed, oned_as="row", long_field_names=True)


def write_mat73(path: Path, variables: Mapping[str, Any]) -> None:
    """MATLAB v7.3: HDF5 behind 512 bytes of text.

    Arrays have MATLAB's shape and are reversed in the file; scalars are 1 x 1 and one-dimensional arrays rows. Text is
    char, bool logical; `cell`s are cells (references), dicts structs, and lists of dicts 1 x n struct arrays.
    """
    h5py = need("h5py", "data")
    with h5py.File(new(path), "w", userblock_size=512, libver="earliest") as file:
        refs = None if all(_plain(value) for value in variables.values()) else file.create_group("#refs#")
        for name, value in variables.items():
            _put73(file, refs, name, value)
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan 01 00:00:00 2015 HDF5 schema 1.00 ."
    with path.open("r+b") as raw:
        raw.write(text.ljust(124) + struct.pack("<H", 0x0200) + b"IM")


def _plain(value: Any) -> bool:
    return not isinstance(value, (Mapping, list)) and np.asarray(value).dtype != object


_CLASSES = {"float64": "double", "float32": "single", "bool": "logical"}


def _put73(group: Any, refs: Any, name: str, value: Any) -> Any:
    """Write a value below a group; returns what was made."""
    h5py = need("h5py", "data")

    def hidden(inner: Any) -> Any:
        return _put73(refs, refs, f"r{len(refs):05d}", inner).ref

    if isinstance(value, Mapping):
        made, kind = group.create_group(name), "struct"
        for key, inner in value.items():
            _put73(made, refs, key, inner)
    elif isinstance(value, list):
        made, kind = group.create_group(name), "struct"
        for key in value[0]:
            column = made.create_dataset(key, (len(value), 1), h5py.ref_dtype)
            column[:, 0] = np.array([hidden(entry[key]) for entry in value], object)
    elif isinstance(value, str):
        made, kind = group.create_dataset(name, data=np.frombuffer(value.encode("utf-16-le"), "<u2")[:, None]), "char"
        made.attrs["MATLAB_int_decode"] = np.int32(2)
    else:
        array = np.asarray(value)
        array = array.reshape(1, -1) if array.ndim < 2 else array
        if array.dtype == object:
            data = np.array([hidden(inner) for inner in array.T.ravel()], object).reshape(array.T.shape)
            made, kind = group.create_dataset(name, data=data, dtype=h5py.ref_dtype), "cell"
        else:
            kind = _CLASSES.get(array.dtype.name, array.dtype.name)
            data = array.T.astype(np.uint8) if kind == "logical" else array.T
            packing = {"compression": "gzip", "compression_opts": 3} if array.size > 1000 else {}
            made = group.create_dataset(name, data=data, **packing)
            if kind == "logical":
                made.attrs["MATLAB_int_decode"] = np.int32(1)
    made.attrs["MATLAB_class"] = np.bytes_(kind)
    return made


def write_cdf(path: Path, variables: Mapping[str, NDArray[Any]]) -> None:
    """NASA CDF with float or double variables of shape (records, ...)."""
    writer = need("cdflib.cdfwrite", "data").CDF(new(path), cdf_spec={"Majority": "row_major"}, delete=True)
    try:
        for name, values in variables.items():
            kind = {"float32": writer.CDF_FLOAT, "float64": writer.CDF_DOUBLE}[values.dtype.name]
            spec = {"Variable": name, "Data_Type": kind, "Num_Elements": 1, "Rec_Vary": True, "Compress": 6}
            writer.write_var({**spec, "Dim_Sizes": list(values.shape[1:])}, var_data=values)
    finally:
        writer.close()


def write_opencv(path: Path, values: Mapping[str, Any]) -> None:
    """OpenCV FileStorage text, YAML or XML by suffix: matrices of doubles, integers, floats and words."""
    write = _opencv_xml if path.suffix == ".xml" else _opencv_yaml
    write_text(path, write(values))


def _numbers(values: NDArray[Any]) -> str:
    return ", ".join(f"{value:.17g}" for value in values.ravel())


def _opencv_yaml(values: Mapping[str, Any]) -> str:
    lines = ["%YAML:1.0", "---"]
    for name, value in values.items():
        if isinstance(value, (str, int, float)):
            lines.append(f'{name}: "{value}"' if isinstance(value, str) else f"{name}: {value!r}")
        else:
            matrix = np.atleast_2d(np.asarray(value, float))
            lines += [f"{name}: !!opencv-matrix", f"   rows: {len(matrix)}", f"   cols: {matrix.shape[1]}", "   dt: d"]
            lines.append(f"   data: [ {_numbers(matrix)} ]")
    return "\n".join([*lines, ""])


def _opencv_xml(values: Mapping[str, Any]) -> str:
    lines = ['<?xml version="1.0"?>', "<opencv_storage>"]
    for name, value in values.items():
        if isinstance(value, (str, int, float)):
            lines.append(f"<{name}>{value}</{name}>")
        else:
            matrix = np.atleast_2d(np.asarray(value, float))
            lines.append(f'<{name} type_id="opencv-matrix">')
            lines.append(f"  <rows>{len(matrix)}</rows><cols>{matrix.shape[1]}</cols><dt>d</dt>")
            lines.append(f"  <data>{_numbers(matrix).replace(',', '')}</data></{name}>")
    return "\n".join([*lines, "</opencv_storage>", ""])


def write_pickle(path: Path, value: Any, python2: bool = False) -> None:
    """A pickle of protocol 2; `python2`: text as Python 2's byte strings, and NumPy by the module names of its time."""
    stream = io.BytesIO()
    if python2:
        _Python2Pickler(stream, 2).dump(value)
    else:
        pickle.dump(value, stream, 2)
    new(path).write_bytes(stream.getvalue())


_PicklerInPython: Any = pickle._Pickler  # type: ignore[attr-defined]


class _Python2Pickler(_PicklerInPython):  # type: ignore[misc]
    dispatch: ClassVar[dict[type, Any]] = dict(_PicklerInPython.dispatch)

    def save_bytes(self, value: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    def save_str(self, value: str) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value.encode("latin1"))
        self.memoize(value)

    def save_global(self, value: Any, name: str | None = None) -> None:
        name = name or value.__qualname__
        module = pickle.whichmodule(value, name).replace("numpy._core", "numpy.core")  # type: ignore[attr-defined]
        module = {"builtins": "__builtin__", "copyreg": "copy_reg"}.get(module, module)
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(value)

    dispatch[bytes], dispatch[str], dispatch[FunctionType] = save_bytes, save_str, save_global
