"""Merging: links, what moves together, what changed since, plans; what a store holds in numbers and pictures."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from stores import assert_same, block, write

from skelbridge.errors import FileFormatError, InputError
from skelbridge.plot import plot_store
from skelbridge.store import describe, merge, open_store, plan, set_dropped, verify
from skelbridge.store.index import shards_folder


@pytest.fixture
def three(tmp_path):
    """Three stores in folders of their own, and the samples in them."""
    blocks = [block(30), block(20, "smpl_24", 24, seed=1), block(10, "coco_17", flat=True, seed=2)]
    paths = [
        write(tmp_path / "data" / name / f"{name}.h5", [samples], dataset=name, split=split)
        for name, samples, split in zip(["h36m", "surreal", "coco"], blocks, ["train", "val", "train"], strict=True)
    ]
    return paths, blocks


def test_a_merged_store_opens_like_any(tmp_path, three):
    paths, blocks = three
    store = merge(paths, tmp_path / "data" / "union.h5")
    assert len(store) == 60
    assert store.datasets == ("h36m", "surreal", "coco")
    assert store.splits == {"h36m": ("train",), "surreal": ("val",), "coco": ("train",)}
    assert_same(store[:30], blocks[0], "train")
    assert_same(store.select(dataset="surreal")[:], blocks[1], "val")
    assert_same(store.select(skeleton="coco_17")[:], blocks[2], "train")
    assert len(store.select(split="train")) == 40
    assert (tmp_path / "data" / "union.h5").stat().st_size < 20_000
    with pytest.raises(InputError, match="one skeleton"):
        _ = store[:]
    with pytest.raises(InputError, match="h36m_17, smpl_24"):
        _ = store.skeleton
    assert store.union.names[:2] == ("h36m_17/pelvis", "h36m_17/right_hip")
    assert len(store.union) == 17 + 24 + 17
    for card in store.skeletons:
        names = [store.union.names[place] for place in store.union.places[str(card)]]
        assert names == [f"{card}/{joint}" for joint in card.names]


def test_members_move_together_with_the_link_and_miss_it_alone(tmp_path, three):
    paths, blocks = three
    merge(paths, tmp_path / "data" / "union.h5")
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    store = open_store(tmp_path / "elsewhere" / "union.h5")
    assert_same(store.select(dataset="coco")[:], blocks[2], "train")
    shutil.move(tmp_path / "elsewhere" / "union.h5", tmp_path / "union.h5")
    with pytest.raises(FileFormatError, match=r"its member h36m/h36m.h5.*keep their place"):
        open_store(tmp_path / "union.h5")
    assert verify(tmp_path / "union.h5")


def test_merged_stores_merge(tmp_path, three):
    paths, blocks = three
    merge(paths[:2], tmp_path / "data" / "two.h5")
    store = merge([tmp_path / "data" / "two.h5", paths[2]], tmp_path / "all.h5")
    assert len(store) == 60
    assert_same(store.select(dataset="surreal")[:], blocks[1], "val")
    set_dropped(tmp_path / "all.h5", {"bad": [0, 31]})
    set_dropped(tmp_path / "data" / "two.h5", {"worse": [31, 32]})
    set_dropped(paths[0], {"worst": [0, 1]})
    store = open_store(tmp_path / "all.h5")
    assert len(store) == 56
    assert store.reasons() == {"worst": 2, "worse": 2}  # the innermost reason counts, once
    assert verify(tmp_path / "all.h5") == []


def test_a_link_cannot_come_to_link_itself(tmp_path, three):
    paths, _ = three
    merge(paths, tmp_path / "inner.h5")
    merge([tmp_path / "inner.h5"], tmp_path / "outer.h5")
    with pytest.raises(InputError, match="member"):
        merge([tmp_path / "outer.h5"], tmp_path / "inner.h5")
    assert len(open_store(tmp_path / "outer.h5")) == 60


def test_samples_are_not_merged_twice(tmp_path, three):
    paths, _ = three
    shutil.copytree(paths[0].parent, tmp_path / "copy")
    with pytest.raises(InputError, match=r"each sample once.*data/h36m/h36m.h5 and .*copy/h36m.h5"):
        merge([paths[0], tmp_path / "copy" / "h36m.h5"], tmp_path / "union.h5")
    merge(paths, tmp_path / "union.h5")
    with pytest.raises(InputError, match="each sample once"):
        plan([tmp_path / "union.h5", paths[1]])


def test_a_member_without_its_shards_is_not_merged(tmp_path, three):
    paths, _ = three
    shutil.rmtree(shards_folder(paths[1]))
    for run in (lambda: merge(paths, tmp_path / "union.h5"), lambda: plan(paths)):
        with pytest.raises(FileFormatError, match=r"surreal.h5.shards"):
            run()
    assert not (tmp_path / "union.h5").exists()


def test_a_member_that_was_ingested_anew_is_an_error_and_one_cleaned_since_is_not(tmp_path, three):
    paths, _ = three
    merge(paths, tmp_path / "union.h5")
    set_dropped(paths[0], {"bad": [1]})
    assert len(open_store(tmp_path / "union.h5")) == 59
    paths[0].unlink()
    shutil.rmtree(shards_folder(paths[0]))
    write(paths[0], [block(30, seed=9)])
    with pytest.raises(FileFormatError, match=r"ingested since.*skelbridge merge"):
        open_store(tmp_path / "union.h5")
    assert verify(tmp_path / "union.h5")
    assert len(merge(paths, tmp_path / "union.h5")) == 60


def test_what_cannot_be_merged(tmp_path, three):
    paths, _ = three
    with pytest.raises(InputError, match="twice"):
        merge([paths[0], paths[1], paths[0].parent / ".." / "h36m" / "h36m.h5"], tmp_path / "union.h5")
    with pytest.raises(InputError, match="at least one"):
        merge([], tmp_path / "union.h5")
    with pytest.raises(InputError, match="samples of its own"):
        merge(paths[1:], paths[0])
    with pytest.raises(InputError, match="member"):
        merge(paths, paths[0])
    with pytest.raises(FileFormatError, match="no such file"):
        merge([*paths, tmp_path / "none.h5"], tmp_path / "union.h5")
    card = block(1).skeleton
    other = card.model_copy(update={"id": "mine", "aliases": ()})
    turned = card.model_copy(update={"id": "mine", "aliases": (), "joints": card.joints[::-1]})
    mine = [
        write(tmp_path / f"{n}.h5", [replace(block(2), skeleton=c)], dataset=f"d{n}")
        for n, c in enumerate([other, turned])
    ]
    with pytest.raises(InputError, match="mine"):
        merge(mine, tmp_path / "union.h5")
    assert not (tmp_path / "union.h5").exists()


def test_the_plan_says_what_comes_from_where(tmp_path, three):
    paths, _ = three
    set_dropped(paths[0], {"bad": [1, 2]})
    found = plan(paths, {"h36m": "research only", "coco": "CC BY 4.0"})
    assert found.samples == {"h36m": {"train": 28}, "surreal": {"val": 20}, "coco": {"train": 10}}
    assert len(found.joints) == 58
    assert found.joints["smpl_24/pelvis"] == {"surreal": 20}
    assert found.licenses == {"h36m": "research only", "surreal": "", "coco": "CC BY 4.0"}
    disk = sum(path.stat().st_size for path in tmp_path.rglob("*.h5") if path.is_file())
    assert found.disk == disk
    merge(paths, tmp_path / "union.h5")
    assert 0.2 < (tmp_path / "union.h5").stat().st_size / found.link < 5
    hips = [pair for pair in found.namesakes if pair.joint == "left_hip"]
    assert [(pair.first, pair.second) for pair in hips] == [
        ("h36m_17", "smpl_24"),
        ("h36m_17", "coco_17"),
        ("smpl_24", "coco_17"),
    ]
    assert all(pair.apart > 5 for pair in hips[:1])
    text = "\n".join(found.lines())
    for word in (
        "58 samples",
        "surreal: val 20",
        "coco: CC BY 4.0",
        "surreal: not said",
        "h36m_17/pelvis: h36m 28",
        "left_hip",
    ):
        assert word in text


def test_namesakes_at_the_same_place_are_told_apart(tmp_path):
    card = block(1).skeleton
    twin = card.model_copy(update={"id": "twin_17", "aliases": ()})
    a = write(tmp_path / "a.h5", [block(2)])
    b = write(tmp_path / "b.h5", [replace(block(2), skeleton=twin)], dataset="other")
    found = plan([a, b])
    assert len(found.namesakes) == 17
    assert {pair.apart for pair in found.namesakes} == {0.0}
    assert any("17, of which 17 at the same place" in line for line in found.lines())


def test_what_a_store_holds(tmp_path):
    samples = block(3000, pictures=(b"jpeg" * 10, None), seed=4)
    flat = block(200, "coco_17", flat=True, seed=5, image="")
    flat = replace(flat, box=np.full((200, 4), np.nan, np.float32))
    paths = [write(tmp_path / "a.h5", [samples]), write(tmp_path / "b.h5", [flat], dataset="coco", split="val")]
    found = describe(merge(paths, tmp_path / "union.h5"))
    a, b = found["h36m"], found["coco"]
    assert a.samples == {"train": 3000}
    assert (a.subjects, a.sequences, a.images, a.videos, a.pictures, a.packed) == (1, 429, 3000, 0, 1500, 1500 * 40)
    for joint, name in enumerate(samples.skeleton.names):
        assert a.joints[name] == pytest.approx((samples.visibility[:, joint] > 0).mean())
    assert a.boxes.sum() == 3000
    assert a.boxes[:2].sum() == (samples.box[:, 2:].max(axis=1) < 64).sum()
    # independent normal coordinates of 300, 500, 100 mm, centred: 16/17 of their variance is left
    assert a.spread == pytest.approx(np.sqrt((300**2 + 500**2 + 100**2) * 16 / 17), rel=0.03)
    shares = np.repeat(np.array([300.0, 500, 100]) ** 2, 16)
    assert a.dimensions == pytest.approx(shares.sum() ** 2 / (shares**2).sum(), rel=0.05)
    assert (b.no_box, b.images, b.boxes.sum()) == (200, 0, 0)
    assert np.isnan(b.spread)
    figure = plot_store(found)
    figure.savefig(tmp_path / "store.png")
    assert figure.axes[0].get_title(loc="left") == "Samples"
    assert "3,200 samples of 2 datasets" in "".join(text.get_text() for text in figure.texts)
    with pytest.raises(InputError, match="samples"):
        plot_store({})
