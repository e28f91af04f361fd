"""Cleaning: which samples go by which rule, that nothing else changes, and what the audit draws."""

import numpy as np
import pytest
import tiny_dataset
from tiny_dataset import SKELETON, install

from skelbridge.datasets import ingest
from skelbridge.datasets.cards import Boxes, DatasetCard, Labels
from skelbridge.datasets.clean import Rules, clean, usual_lengths
from skelbridge.errors import InputError
from skelbridge.skeletons import skeleton
from skelbridge.store import JobWriter, Samples, StoreWriter, Visibility, open_store
from skelbridge.store.merging import merge
from skelbridge.synthetic.scene import ring, virtual_scene

CAMERA = ring(1, focal=500.0, size=(640, 480))[0]


def people(count=60, format=SKELETON, **given):
    points = CAMERA.to_camera(virtual_scene(1, count, seed=2).joints(format)[:, 0])
    return Samples.of(format, points=points, camera=CAMERA, box=(100, 0, 440, 480), image_size=(640, 480),
                      split="train", frame=range(count), sequence="s", **given)  # fmt: skip


def stored(path, samples, dataset="made_up", split="train"):
    with StoreWriter(path, dataset=dataset, skeleton=samples.skeleton) as writer:
        job = JobWriter(path, split, dataset, split, samples.skeleton)
        job.add(samples)
        writer.commit(job.finish([split]))
    return path


def gone(path):
    every, left = open_store(path, dropped=True), open_store(path)
    return sorted(set(every[:].frame) - set(left[:].frame if len(left) else []))


def index(name):
    return skeleton(SKELETON).index(name)


def test_clean_people_stay(tmp_path):
    path = stored(tmp_path / "a.h5", people())
    assert clean(path) == {}
    assert len(open_store(path)) == 60


def test_bones_that_are_impossibly_long_or_short_go(tmp_path):
    samples = people()
    wrist, elbow = (samples.points[:, index(f"left_{name}")] for name in ("wrist", "elbow"))
    length = np.median(np.linalg.norm(wrist - elbow, axis=-1))
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow, axis=-1, keepdims=True)
    for row, times in ((3, 3.1), (4, 2.9), (5, 0.09), (6, 0.11), (7, 1.9)):
        wrist[row] = elbow[row] + along[row] * length * times
    path = stored(tmp_path / "a.h5", samples)
    reasons = clean(path)
    assert gone(path) == [3, 4, 5, 6]  # 4 and 6 because the other arm is not like that
    assert reasons == {"impossible bone length": 2, "left and right limbs of unlike length": 2}
    assert clean(path, Rules(uneven=100, longest=2)) == {"impossible bone length": 3}
    assert gone(path) == [3, 4, 5]
    assert clean(path, Rules(uneven=100, off=3000)) == {}


def test_bones_that_are_off_by_little_stay_whatever_the_ratio(tmp_path):
    """The fingers of a hand are centimetres long: three times that is no monster."""
    samples = people(format="smplx_55")
    tip = samples.skeleton.index("left_index3") if "left_index3" in samples.skeleton.names else 30
    samples.points[5, tip] += 60
    assert clean(stored(tmp_path / "a.h5", samples)) == {}


def test_a_person_out_of_his_box_goes(tmp_path):
    samples = people()
    samples.box[7] = [0, 0, 30, 30]
    samples.box[8] = np.nan  # nothing is known: stays
    path = stored(tmp_path / "a.h5", samples)
    assert clean(path) == {"too few joints in the box": 1}
    assert gone(path) == [7]


def test_usual_lengths_are_robust_and_the_same_for_both_sides(tmp_path):
    samples = people(100)
    plain = usual_lengths(open_store(stored(tmp_path / "a.h5", samples)))["made_up", SKELETON]
    samples.points[::3] *= 10
    bent = usual_lengths(open_store(stored(tmp_path / "b.h5", samples)))["made_up", SKELETON]
    np.testing.assert_allclose(bent.usual, plain.usual, rtol=0.1)
    names = dict(zip(plain.names, plain.usual, strict=True))
    assert all(names[name.replace("left", "right")] == mm for name, mm in names.items())
    assert 180 < names["left_elbow-left_wrist"] < 300


def card(monkeypatch, name="made_up", **changes):
    from skelbridge.datasets import cards

    values = {**tiny_dataset.CARD.model_dump(), "id": name, "aliases": (), **changes}
    known = {**cards.datasets(), name: DatasetCard.model_validate(values)}
    monkeypatch.setattr("skelbridge.datasets.clean.datasets", lambda: known)


def test_labels_of_2d_sets_are_counted(tmp_path, monkeypatch):
    points = np.tile(np.random.default_rng(0).uniform(10, 90, (17, 2)), (6, 1, 1))
    seen = np.full((6, 17), Visibility.VISIBLE)
    seen[1, :12] = Visibility.OCCLUDED  # 5 seen
    seen[2, :11] = Visibility.OCCLUDED  # 6 seen
    points[3, :9], seen[3, :9] = np.nan, 0  # 8 given
    points[4, 5:11], seen[4, 5:11] = np.nan, 0  # 6 limbs
    samples = Samples.of("coco_17", points2d=points, visibility=seen, box=[(0, 0, 100, 100)] * 5 + [(0, 0, 100, 190)],
                         frame=range(6), split="train")  # fmt: skip
    path = stored(tmp_path / "a.h5", samples)
    card(monkeypatch, labels=Labels(visible=17 / 3, labelled=17 / 2, limbs=7))
    assert clean(path) == {"too few joints labelled": 2, "too few limbs labelled": 1}
    assert gone(path) == [1, 3, 4]
    card(monkeypatch, labels=Labels(first=11, visible=17 / 3, labelled=17 / 2))
    assert clean(path) == {"too few joints labelled": 4}
    assert gone(path) == [1, 2, 3, 4]
    card(monkeypatch, boxes=Boxes(min_longer_side=150))
    assert clean(path) == {"too small in the picture": 5}


def test_splits_that_are_judged_on_and_exempt_datasets_stay(tmp_path, monkeypatch):
    samples = people()
    samples.points[::2, 0] += 5000
    card(monkeypatch, evaluation=("train",))
    assert clean(stored(tmp_path / "a.h5", samples)) == {}
    card(monkeypatch, plausible=False)
    assert clean(tmp_path / "a.h5") == {}
    card(monkeypatch)
    assert clean(tmp_path / "a.h5") == {"impossible bone length": 30}


def test_each_dataset_of_a_merged_store_has_its_own_usual_lengths(tmp_path):
    small = people()
    small.points[:] = (small.points - small.points[:, :1]) * 0.2 + small.points[:, :1]
    one, other = stored(tmp_path / "a.h5", people(), "one"), stored(tmp_path / "b.h5", small, "other")
    merge([one, other], tmp_path / "m.h5")
    assert clean(tmp_path / "m.h5") == {}
    mixed = Samples.joined([people(50), small[:10]])
    assert clean(stored(tmp_path / "c.h5", mixed), Rules(shortest=0.25)) == {"impossible bone length": 10}


def test_only_the_index_changes_and_the_settings_are_kept(tmp_path):
    samples = people()
    samples.points[5, 3] += 3000
    path = stored(tmp_path / "a.h5", samples)
    shards = {file: file.read_bytes() for file in (tmp_path / "a.h5.shards").glob("*.h5")}
    clean(path, Rules(longest=2.5))
    assert {file: file.read_bytes() for file in shards} == shards
    assert open_store(path).settings["rules"]["longest"] == 2.5
    assert len(open_store(path, dropped=True)) == 60
    clean(path, Rules(longest=100, uneven=100))
    assert len(open_store(path)) == 60


@pytest.mark.parametrize(
    ("name", "value"), [("longer", "2"), ("longest", "much"), ("off", "0"), ("off", "-1"), ("off", "nan")]
)
def test_rules_with_other_figures(name, value):
    with pytest.raises(InputError):
        Rules.of({name: value})
    assert Rules.of({"longest": "2.5"}) == Rules(longest=2.5)


@pytest.mark.parametrize("pictures", ["mp4", "packed", "none"])
def test_the_audit_draws_what_went_and_what_stayed(tmp_path, monkeypatch, pictures):
    pytest.importorskip("matplotlib", reason="needs matplotlib (pip install skelbridge[plot])")
    from skelbridge.plot.audit import audit

    install(monkeypatch)
    kind = "" if pictures == "none" else "mp4"
    tiny_dataset.write(tmp_path / "in", sequences=2, frames=8, pictures=kind)
    pack = "crop" if pictures == "packed" else None
    ingest("tiny", tmp_path / "in", tmp_path / "a.h5", settings={"bad": "4"}, pack=pack, thin=False, progress=False)
    sheets = audit(tmp_path / "a.h5", tmp_path / "sheets")
    assert [sheet.name for sheet in sheets] == [
        "tiny_impossible_bone_length.png",
        "tiny_left_and_right_limbs_of_unlike_length.png",
        "tiny_too_few_joints_in_the_box.png",
    ]
    image = pytest.importorskip("PIL.Image")
    sizes = [image.open(sheet).size for sheet in sheets]
    assert sizes[0][1] > sizes[2][1] * 1.5  # by the last rule none went
    colours = [len(np.unique(np.asarray(image.open(sheet).convert("RGB")).reshape(-1, 3), axis=0)) for sheet in sheets]
    assert (colours[0] > 20_000) == (pictures != "none")
