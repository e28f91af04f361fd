"""Make the demo's motion, `skelbridge/samples/motion.npz`: the virtual body moved by a motion-capture clip.

The arrays: `landmarks` (frames, landmarks, 3) in mm on a body of 1.7 m, the pelvis at the origin; `names`
of the landmarks; `fps`; `source`, in words. Needs skelbridge[body].

    python docs/record_motion.py CLIP.amc skelbridge/samples/motion.npz --seconds 3 --source "CMU ..."
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from skelbridge.body.hierarchy import find_joints
from skelbridge.body.model import VirtualBody, middle_shapes
from skelbridge.body.motions import at_frames, read_motion
from skelbridge.body.retarget import retarget, upright
from skelbridge.bridge import STATURE

FPS = 20.0


def main() -> None:
    """Retarget the clip and write the landmarks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fps", type=float, default=120.0, help="of the clip, where it does not say (AMC)")
    parser.add_argument("--start", type=float, default=0.0, help="seconds into the clip")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--source", required=True, help="what the clip is, and its licence")
    options = parser.parse_args()
    motion = read_motion(options.clip)
    times = options.start + np.arange(0, options.seconds, 1 / FPS)
    frames = np.rint(times * (motion.fps or options.fps)).astype(np.intp)
    motion = at_frames(upright(motion, find_joints(motion)), frames[frames < len(motion)])
    body = VirtualBody()
    points, stature = body.measured(retarget(motion, body), middle_shapes(len(motion)))
    points *= (STATURE / stature)[:, None, None]
    points -= points[:, [body.points.index("pelvis")]]
    np.savez_compressed(
        options.out,
        landmarks=points.astype(np.float16),  # to half a millimetre
        names=np.array(body.points.names),
        fps=FPS,
        source=options.source,
    )


if __name__ == "__main__":
    main()
