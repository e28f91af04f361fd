"""Pictures and videos: what is decoded, and what is refused."""

from __future__ import annotations

import io
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from skelbridge.errors import FileFormatError, InputError
from skelbridge.io.images import encode_jpeg, image_size, read_image
from skelbridge.io.video import Video

PIL = pytest.importorskip("PIL.Image")
av = pytest.importorskip("av")

WIDTH, HEIGHT, FRAMES = 64, 48, 30
COLOURS = np.array([[200, 30, 40], [10, 150, 90]], np.uint8)


def picture() -> np.ndarray:
    """Two colours side by side, and a mark in the top left corner."""
    image = np.repeat(COLOURS, WIDTH // 2, axis=0)[None].repeat(HEIGHT, axis=0)
    image[:8, :8] = 255
    return image


def file(image: np.ndarray, format: str = "PNG", mode: str | None = None) -> io.BytesIO:
    made, out = PIL.fromarray(image), io.BytesIO()
    (made.convert(mode, palette=PIL.Palette.ADAPTIVE) if mode else made).save(out, format=format)
    out.seek(0)
    return out


@pytest.mark.parametrize("format", ["PNG", "BMP", "PPM", "TIFF"])
def test_pictures_are_read_as_rgb(format: str) -> None:
    assert np.array_equal(read_image(file(picture(), format), "a"), picture())
    assert image_size(file(picture(), format), "a") == (WIDTH, HEIGHT)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_other_kinds_of_colour_become_rgb(mode: str) -> None:
    grey = np.repeat(picture()[..., :1], 3, axis=2)
    read = read_image(file(grey, "JPEG" if mode == "CMYK" else "PNG", mode), "a")
    assert read.shape == grey.shape
    assert np.abs(read.astype(int) - grey).mean() < 3


def test_a_jpeg_comes_back_nearly_the_same() -> None:
    read = read_image(io.BytesIO(encode_jpeg(picture())), "a")
    assert np.abs(read[16:, :24].astype(int) - COLOURS[0]).max() < 6


def test_transforms_turn_and_mirror() -> None:
    assert np.array_equal(read_image(file(picture()), "a", "mirror")[:, ::-1], picture())
    turned = read_image(file(picture()), "a", "rotate_clockwise")
    assert turned.shape == (WIDTH, HEIGHT, 3)
    assert (turned[0, -1] == 255).all()  # the top left corner has come to the top right
    with pytest.raises(InputError, match="transform"):
        read_image(file(picture()), "a", "upside_down")


def test_an_orientation_tag_is_not_obeyed() -> None:
    out, tag = io.BytesIO(), PIL.Exif()
    tag[0x0112] = 6
    PIL.fromarray(picture()).save(out, format="JPEG", exif=tag)
    assert read_image(out, "a").shape == (HEIGHT, WIDTH, 3)
    assert image_size(out, "a") == (WIDTH, HEIGHT)


def test_a_mosaic_gives_back_what_changes_evenly() -> None:
    rows, columns = np.mgrid[0:20, 0:24]
    colours = np.stack([20 + 4 * rows + 2 * columns, 200 - 6 * rows, 10 + 6 * columns], axis=-1).astype(np.uint8)
    mosaic = colours[..., 1].copy()
    mosaic[0::2, 1::2] = colours[0::2, 1::2, 0]
    mosaic[1::2, 0::2] = colours[1::2, 0::2, 2]
    read = read_image(file(mosaic, "PPM"), "a.pgm", "bayer_grbg")
    assert np.array_equal(read[2:-2, 2:-2], colours[2:-2, 2:-2])


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + bytes(99), b"P6 9 x"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    for read in (read_image, image_size):
        with pytest.raises(FileFormatError, match=r"some/where\.png"):
            read(io.BytesIO(content), "some/where.png")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "PPM"])
def test_cut_pictures_are_refused(format: str) -> None:
    content = file(picture(), format).getvalue()
    with pytest.raises(FileFormatError, match="a picture"):
        read_image(io.BytesIO(content[: len(content) // 2]), "a")


def test_absurdly_large_and_deep_pictures_are_refused() -> None:
    for head in (b"P6 100000 100000 255\n", b"P5 9999999 9999999 255\n"):
        with pytest.raises(FileFormatError, match=r"pixels|picture"):
            read_image(io.BytesIO(head + bytes(100)), "a")
    with pytest.raises(FileFormatError, match="8 bits"):
        read_image(file(np.zeros((4, 4), np.uint16)), "a")


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_only_pictures_are_written(image: np.ndarray) -> None:
    with pytest.raises(InputError, match="uint8"):
        encode_jpeg(image)


def video(format: str, codec: str, pixels: str) -> bytes:
    """Frame k has the grey 8 k."""
    out = io.BytesIO()
    with av.open(out, "w", format=format) as container:
        track = container.add_stream(codec, rate=25)
        track.width, track.height, track.pix_fmt = WIDTH, HEIGHT, pixels
        for k in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), 8 * k, np.uint8), format="rgb24")
            container.mux(track.encode(frame))
        container.mux(track.encode())
    return out.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "a.mp4": lambda: video("mp4", "mpeg4", "yuv420p"),
    "a.avi": lambda: video("avi", "rawvideo", "bgr24"),
    "b.avi": lambda: video("avi", "mjpeg", "yuvj420p"),
    "a.mkv": lambda: video("matroska", "mpeg4", "yuv420p"),
    "a.avi.xz": lambda: lzma.compress(video("avi", "rawvideo", "bgr24")),
}


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_counted_as_decoded(name: str) -> None:
    stream = io.BytesIO(KINDS[name]())
    with Video(stream, name) as opened:
        assert (opened.size, opened.fps, len(opened)) == ((WIDTH, HEIGHT), 25, FRAMES)
        for wanted in ([0, 7, 29], [12, 3, 3], []):
            found = dict(opened.frames(wanted))
            assert list(found) == sorted(set(wanted))
            assert all(abs(image.mean() - 8 * k) < 4 for k, image in found.items())
            assert all(image.shape == (HEIGHT, WIDTH, 3) for image in found.values())
    assert stream.closed


@pytest.mark.parametrize("name", KINDS)
def test_a_video_that_ends_early_says_so(name: str) -> None:
    with Video(io.BytesIO(KINDS[name]()), name) as opened, pytest.raises(FileFormatError, match="30 frames"):
        list(opened.frames([3, FRAMES]))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.4, 0.8])
@pytest.mark.parametrize("name", KINDS)
def test_truncated_videos_are_refused(name: str, share: float) -> None:
    content = KINDS[name]()
    with pytest.raises(FileFormatError, match=name):
        list(Video(io.BytesIO(content[: int(share * len(content))]), name).frames(range(FRAMES)))


def test_sound_alone_is_no_video() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="avi") as container:
        track = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(track.encode(sound))
    with pytest.raises(FileFormatError, match="no picture track"):
        Video(out, "a.avi")
    assert out.closed


def test_an_absurd_size_is_refused() -> None:
    content = bytearray(KINDS["a.avi"]())
    place = content.index(b"strf") + 12
    content[place : place + 8] = np.array([60000, 60000], "<i4").tobytes()
    with pytest.raises(FileFormatError, match="at most"):
        Video(io.BytesIO(bytes(content)), "a.avi")


def test_play_lists_open_no_other_files(tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(KINDS["a.mp4"]())
    for text in (f"ffconcat version 1.0\nfile {other}\n", f"#EXTM3U\n#EXTINF:1,\nfile://{other}\n#EXT-X-ENDLIST\n"):
        with pytest.raises(FileFormatError, match=r"a\.mp4"):
            list(Video(io.BytesIO(text.encode()), "a.mp4").frames([0]))
