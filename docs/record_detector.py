"""Record a real detector's output: `skelbridge/samples/astronaut_mediapipe_pose.json` and its photograph.

MediaPipe pins old versions of numpy and protobuf, so it runs in an environment of its own, in which
skelbridge is not needed. 0.10.21 is the last wheel that carries its pose model inside; nothing is downloaded
at run time.

    python3.11 -m venv record && record/bin/pip install mediapipe==0.10.21 scikit-image==0.26.0
    record/bin/python docs/record_detector.py skelbridge/samples
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

SETTINGS = {"static_image_mode": True, "model_complexity": 1}


def main(folder: Path) -> None:
    """Run the detector on the photograph and write both files into `folder`."""
    import mediapipe
    import skimage
    from PIL import Image

    photo = skimage.data.astronaut()
    height, width = photo.shape[:2]
    with mediapipe.solutions.pose.Pose(**SETTINGS) as detector:
        found = detector.process(photo)
    record = {
        "format": "mediapipe_pose_33",
        "width": width,
        "height": height,
        "frames": [
            {
                "landmarks": rows(found.pose_landmarks.landmark),
                "world_landmarks": rows(found.pose_world_landmarks.landmark),
            }
        ],
        "provenance": {
            "photo": "astronaut.jpg: Eileen Collins, NASA portrait GPN-2000-001178",
            "source": f"skimage.data.astronaut(), scikit-image {skimage.__version__}, re-encoded as JPEG",
            "licence": "public domain (NASA)",
            "tool": "mediapipe.solutions.pose with the pose model bundled in the wheel (pose_landmark_full)",
            "version": mediapipe.__version__,
            "settings": SETTINGS,
            "command": "python docs/record_detector.py skelbridge/samples",
            "units": "rows are x, y, z, visibility; landmarks: x and z in image widths, y in image heights; "
            "world_landmarks: metres from the hip middle; y down",
        },
    }
    text = re.sub(r"\[[^\[\]]+\]", lambda row: " ".join(row.group().split()), json.dumps(record, indent=1))
    (folder / "astronaut_mediapipe_pose.json").write_text(text + "\n", encoding="utf-8")
    Image.fromarray(photo).save(folder / "astronaut.jpg", quality=85, optimize=True)


def rows(landmarks: list) -> list[list[float]]:
    """MediaPipe landmarks as rows of x, y, z, visibility."""
    return [[round(value, 6) for value in (point.x, point.y, point.z, point.visibility)] for point in landmarks]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
