"""What the copies' containers hold, read back by the libraries that read the real ones."""

import pickle
import pickletools

import numpy as np
import pytest
from scipy.io import loadmat

from skelbridge.errors import InputError, UnknownNameError
from skelbridge.synthetic.native import _files, write_copy

NUMBERS = np.random.default_rng(0).normal(size=(2, 5, 3))


def test_matlab_5(tmp_path):
    people = [{"id": 1.0, "name": "a"}, {"id": 2.0, "name": "bc"}]
    values = {"x": NUMBERS, "c": _files.cell([NUMBERS[0], "text"], 2, 1), "s": {"of": {"y": 4.0}}}
    _files.write_mat5(tmp_path / "deep" / "a.mat", {**values, "p": _files.structs(people)})
    found = loadmat(tmp_path / "deep" / "a.mat")
    np.testing.assert_array_equal(found["x"], NUMBERS)
    assert found["c"].shape == (2, 1)
    np.testing.assert_array_equal(found["c"][0, 0], NUMBERS[0])
    assert found["c"][1, 0] == ["text"]
    assert found["s"]["of"][0, 0]["y"][0, 0] == 4
    assert found["p"].shape == (1, 2)
    assert found["p"]["name"][0, 1] == ["bc"]


def test_matlab_7_3_is_hdf5_reversed_with_references(tmp_path):
    h5py = pytest.importorskip("h5py")
    values = {"x": NUMBERS, "m": _files.cell([np.eye(2, 3, dtype=bool), NUMBERS], 1, 2), "s": {"t": "words", "n": 7.0}}
    _files.write_mat73(tmp_path / "a.mat", {**values, "p": [{"v": 1.0}, {"v": 2.0}]})
    assert (tmp_path / "a.mat").read_bytes()[:19] == b"MATLAB 7.3 MAT-file"
    with h5py.File(tmp_path / "a.mat") as file:
        np.testing.assert_array_equal(file["x"][()].T, NUMBERS)
        assert file["x"].attrs["MATLAB_class"] == b"double"
        assert file["m"].shape == (2, 1)
        np.testing.assert_array_equal(file[file["m"][0, 0]][()], np.eye(3, 2))
        assert file[file["m"][0, 0]].attrs["MATLAB_class"] == b"logical"
        assert file["s/t"][()].tobytes().decode("utf-16-le") == "words"
        assert file["s/n"][()] == [[7]]
        assert file[file["p/v"][1, 0]][()] == [[2]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cdf(tmp_path, dtype):
    cdflib = pytest.importorskip("cdflib")
    values = NUMBERS[:1].astype(dtype)
    _files.write_cdf(tmp_path / "Directions 1.54138969.cdf", {"Pose": values})
    found = cdflib.CDF(tmp_path / "Directions 1.54138969.cdf").varget("Pose")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("suffix", [".yml", ".xml"])
def test_opencv_storage(tmp_path, suffix):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / f"camera{suffix}"
    _files.write_opencv(path, {"K": NUMBERS[0], "count": 3, "scale": 0.25, "name": "left"})
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    np.testing.assert_array_equal(storage.getNode("K").mat(), NUMBERS[0])
    assert [storage.getNode(name).real() for name in ("count", "scale")] == [3, 0.25]
    assert storage.getNode("name").string() == "left"


def test_a_pickle_of_python_2_has_its_strings_and_module_names(tmp_path):
    value = {"poses": [NUMBERS, "walking"], "fps": np.float64(30), "genders": ["f", "m"]}
    _files.write_pickle(tmp_path / "a.pkl", value, python2=True)
    data = (tmp_path / "a.pkl").read_bytes()
    operations = list(pickletools.genops(data))
    assert {operation.name for operation, *_ in operations} & {"BINUNICODE", "SHORT_BINUNICODE"} == set()
    modules = {argument.split()[0] for operation, argument, _ in operations if operation.name == "GLOBAL"}
    assert modules == {"numpy", "numpy.core.multiarray"}
    found = pickle.loads(data, encoding="latin1")
    np.testing.assert_array_equal(found["poses"][0], NUMBERS)
    assert found["poses"][1] == "walking"
    assert found["fps"] == 30
    assert found["genders"] == ["f", "m"]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_video_frames_come_back_in_order(tmp_path, suffix):
    av = pytest.importorskip("av")
    frames = [np.full((48, 64, 3), 30 * number, np.uint8) for number in range(6)]
    path = tmp_path / f"a{suffix}"
    _files.write_video(path, frames, 50)
    with av.open(str(path)) as file:
        assert file.streams.video[0].average_rate == 50
        found = [frame.to_ndarray(format="rgb24").mean() for frame in file.decode(video=0)]
    np.testing.assert_allclose(found, [frame.mean() for frame in frames], atol=4)
    with pytest.raises(InputError):
        _files.write_video(path, [])


def test_pictures(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    mask = np.eye(5, dtype=bool)
    _files.write_image(tmp_path / "mask.png", mask)
    np.testing.assert_array_equal(np.asarray(pil.open(tmp_path / "mask.png")), mask * 255)


def test_a_copy_that_is_not_known_is_told_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="h36m"):
        write_copy("h36", tmp_path)
