"""OpenCV's FileStorage is read as OpenCV reads it, and damage and tricks are errors."""

import numpy as np
import pytest

from skelbridge.errors import FileFormatError
from skelbridge.io.opencv import MAX_DEPTH, read_file_storage

CALIBRATION = """%YAML:1.0
---
# as the calibrations of Berkeley MHAD lie
"Number of cameras": 2
Camera_1:
   K: !!opencv-matrix
      rows: 2
      cols: 3
      dt: d
      data: [ 5.0e+02, 0., 320.,
          0., 500., -.5 ]
   PosRel: [ 1, 2,
      3.5 ]
"""


@pytest.mark.parametrize("suffix", ["xml", "yml"])
def test_what_opencv_wrote_comes_as_it_was(suffix, tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / f"written.{suffix}"
    values = {
        "K": np.array([[1234.567890123, 0, 1e-9], [0, -1.5e30, 2]]), "short": np.arange(5, dtype=np.float32)[None],
        "colours": np.arange(24, dtype=np.uint8).reshape(2, 4, 3), "special": np.array([[np.nan, np.inf, -np.inf]]),
        "whole": np.array([[-(2**31), 7]], dtype=np.int32),
    }  # fmt: skip
    store = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in values.items():
        store.write(name, value)
    store.write("count", 4)
    store.write("name", 'the "left" one <&>')
    store.write("digits", "12")
    store.write("words", ["a", "b c"])
    store.startWriteStruct("cameras", cv2.FileNode_SEQ)
    for number in range(2):
        store.startWriteStruct("", cv2.FileNode_MAP)
        store.write("number", number)
        store.write("R", np.eye(3) * number)
        store.endWriteStruct()
    store.endWriteStruct()
    store.startWriteStruct("flow", cv2.FileNode_MAP | cv2.FileNode_FLOW)
    store.write("a", 1)
    store.write("b", 2.5)
    store.endWriteStruct()
    store.release()

    found = read_file_storage(path.read_text(), path)
    again = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)
        np.testing.assert_array_equal(found[name], again.getNode(name).mat())
        assert found[name].dtype == value.dtype
    assert {name: found[name] for name in ("count", "name", "digits", "words", "flow")} == {
        "count": 4, "name": 'the "left" one <&>', "digits": "12", "words": ["a", "b c"], "flow": {"a": 1, "b": 2.5},
    }  # fmt: skip
    assert [camera["number"] for camera in found["cameras"]] == [0, 1]
    np.testing.assert_array_equal(found["cameras"][1]["R"], np.eye(3))


def test_yaml_of_old_versions():
    found = read_file_storage(CALIBRATION, "camcfg.yml")
    assert found["Number of cameras"] == 2
    np.testing.assert_array_equal(found["Camera_1"]["K"], [[500, 0, 320], [0, 500, -0.5]])
    assert found["Camera_1"]["PosRel"] == [1, 2, 3.5]


def test_plain_yaml_lists_and_maps():
    text = (
        "list:\n   - a: 1\n     b: [ 2, [ 3, x ] ]\n   - 5\n   -\n      c: 'it''s'\nempty:\nlast: { d:1, e: [ 1 ] }\n"
    )
    assert read_file_storage(text, "x") == {
        "list": [{"a": 1, "b": [2, [3, "x"]]}, 5, {"c": "it's"}], "empty": None, "last": {"d": 1, "e": [1]},
    }  # fmt: skip


XML = (
    '<?xml version="1.0"?>\n<opencv_storage><K type_id="opencv-matrix">'
    "<rows>1</rows><cols>2</cols><dt>d</dt><data>1. 2.</data></K></opencv_storage>"
)
DAMAGED = {
    "an entity": '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><opencv_storage><a>&b;</a></opencv_storage>',
    "an outside entity": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><opencv_storage><a>&a;</a></opencv_storage>',
    "another root": "<html></html>",
    "cut off": XML[:-30],
    "too few numbers": XML.replace("1. 2.", "1."),
    "a word among numbers": XML.replace("1. 2.", "1. two"),
    "an absurd size": XML.replace("<rows>1", "<rows>99999999999999"),
    "an unknown type": XML.replace("<dt>d", "<dt>q"),
    "no type": XML.replace("<dt>d</dt>", ""),
    "nesting": "<opencv_storage>" + "<a>" * 100_000 + "</a>" * 100_000 + "</opencv_storage>",
    "a tag that runs": "%YAML:1.0\n---\na: !!python/object/apply:os.system [ 'true' ]\n",
    "an open bracket": CALIBRATION.replace("3.5 ]", "3.5"),
    "a bracket too many": CALIBRATION.replace("3.5 ]", "3.5 ] ]"),
    "yaml cut off": CALIBRATION[: CALIBRATION.index("data")],
    "yaml nesting": "".join(" " * depth + "a:\n" for depth in range(MAX_DEPTH + 5)),
    "brackets": "a: " + "[" * 5000 + "]" * 5000,
    "no entry": "%YAML:1.0\n---\njust words\n",
    "nothing": "",
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGED)
def test_damage_and_tricks_are_errors_of_the_file(what):
    with pytest.raises(FileFormatError, match="camcfg"):
        read_file_storage(DAMAGED[what], "camcfg")


@pytest.mark.parametrize("text", [CALIBRATION, XML], ids=["yaml", "xml"])
def test_every_changed_letter_is_an_error_or_a_value(text):
    rng = np.random.default_rng(0)
    letters = list("[]{}:-!\"'# \n<>/&_0.")
    for turn in range(800):
        at = rng.integers(len(text))
        changed = text[:at] if turn % 4 == 0 else text[:at] + rng.choice(letters) + text[at + turn % 2 :]
        try:
            found = read_file_storage(changed, "x")
        except FileFormatError:
            continue
        assert isinstance(found, dict)
