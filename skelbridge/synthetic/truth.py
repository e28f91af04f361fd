"""What a native-layout copy holds, said apart from its files: what reading it must give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Truth:
    """One person in one picture.

    skeleton: the format of the joints. image: path of the picture or video below the folder; video_frame: the picture's
    number among the decoded frames, from 0, or -1 for a still image. points: (J, 3) mm in the camera's axes, NaN where
    the files do not give the joint; None for 2D data. points2d: (J, 2) pixels, as the files have them; None where they
    have none. world: (J, 3) mm in the dataset's world, where its files have one. split: the dataset's word.
    tolerance: mm, what the containers' precision leaves open (float32 metres, rounded text ...).
    pixels: how well `points` project onto `points2d`; inf where the dataset's own 2D is of something else.
    projected: (J, 2) pixels, where `points` lie in the picture, for datasets whose files have no 2D points.
    """

    skeleton: str
    split: str
    image: str
    video_frame: int = -1
    points: NDArray[np.float64] | None = None
    points2d: NDArray[np.float64] | None = None
    world: NDArray[np.float64] | None = None
    box: tuple[float, float, float, float] | None = None
    tolerance: float = 0.05
    pixels: float = 0.5
    projected: NDArray[np.float64] | None = None


#: Writes a copy below a folder, and says what reading it must give: all of it, and nothing else.
Writer = Callable[[Path], list[Truth]]
