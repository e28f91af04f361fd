"""Videos, decoded in order: frames are counted as they come, never sought by time."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import SkelbridgeError, need
from skelbridge.io.files import damaged
from skelbridge.io.images import MAX_PIXELS

#: Containers that hold their pictures themselves; play lists, which name other files, are not among them.
_CONTAINERS = "avi,mov,matroska,mpeg,mpegts,mpegvideo,m4v,h264,ogg,asf"


class Video:
    """A video file, which the `with` block closes (and an error on opening it).

    stream: the file, seekable; one whose name ends in .xz is unpacked as it is read. name: its path, for messages.

    size: width and height in pixels. fps: frames a second as the file says, 0 where it does not.
    Raises FileFormatError where the file is no video, is damaged or absurdly large.
    """

    def __init__(self, stream: BinaryIO, name: str):
        self._stream, self._name = stream, name
        try:
            with self._opened("the head") as (_, track):
                self.size = (int(track.width), int(track.height))
                self.fps = float(track.average_rate or track.base_rate or 0)
                self._declared = int(track.frames)
        except BaseException:
            stream.close()
            raise

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __len__(self) -> int:
        """The number of frames that the file declares; where it declares none they are counted, not decoded."""
        if self._declared <= 0:
            with self._opened("counting the frames") as (container, track):
                self._declared = sum(packet.size > 0 for packet in container.demux(track))
        return self._declared

    def frames(self, indices: Iterable[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Index and picture (H, W, 3) RGB of some frames, counted from 0 as decoded, in ascending order.

        Raises FileFormatError where the video breaks off or ends before the last of them.
        """
        wanted = sorted({int(index) for index in indices})
        if not wanted:
            return
        position, decoded = 0, 0
        with self._opened(f"up to frame {wanted[-1]}") as (container, track):
            track.thread_type = "AUTO"
            for frame in container.decode(track):
                if decoded == wanted[position]:
                    yield decoded, frame.to_ndarray(format="rgb24")
                    position += 1
                    if position == len(wanted):
                        return
                decoded += 1
        raise damaged(Path(self._name), "", expected=f"frame {wanted[position]} (from 0)", got=f"{decoded} frames")

    @contextmanager
    def _opened(self, doing: str) -> Iterator[tuple[Any, Any]]:
        """The container from its beginning, and its first video track; whatever FFmpeg meets is our error."""
        av, path = need("av", "data"), Path(self._name)
        try:
            self._stream.seek(0)
            file = _Unpacked(self._stream) if path.suffix == ".xz" else self._stream
            options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}
            with av.open(file, options=options) as container:
                if not container.streams.video:
                    raise damaged(path, "", expected="a video", got="no picture track in it")
                track = container.streams.video[0]
                if not 0 < track.width * track.height <= MAX_PIXELS:
                    size = f"{track.width} x {track.height}"
                    raise damaged(path, "", expected=f"pictures of at most {MAX_PIXELS} pixels", got=size)
                track.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
                yield container, track
        except SkelbridgeError:
            raise
        except (av.error.FFmpegError, lzma.LZMAError, EOFError, ValueError, OSError) as error:
            raise damaged(path, doing, expected="a video", got=getattr(error, "strerror", None) or error) from error


class _Unpacked:
    """An .xz file as a stream that only goes forward: to seek in it would unpack it over and over."""

    def __init__(self, stream: BinaryIO):
        self._file = lzma.LZMAFile(stream)  # noqa: SIM115 (it only reads from the stream, whose owner closes it)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)
