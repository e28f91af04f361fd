"""The estimator: what the network says in a crop comes back to the picture's camera, however the crop was made."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch and OpenCV (pip install skelbridge[train])")
pytest.importorskip("cv2", reason="needs OpenCV (pip install skelbridge[train])")
import torch
from people import people
from stores import write

from skelbridge.bridge.acae import Joints
from skelbridge.camera import Camera
from skelbridge.datasets.packing import cut
from skelbridge.errors import FileFormatError, InputError
from skelbridge.estimator.design import Design
from skelbridge.estimator.estimator import Estimator, View, usual_views
from skelbridge.estimator.network import PoseNetwork, Prediction
from skelbridge.estimator.weights import save_model
from skelbridge.skeletons import skeleton
from skelbridge.store import Samples, merge, open_store

SIZE, DISTANCE = (400, 300), 3000.0
JOINTS = Joints.of(["h36m_17", "coco_17"])
LENSES = {
    "straight": Camera([[420, 0, 190], [0, 400, 160], [0, 0, 1]]),
    "bent": Camera([[420, 0, 190], [0, 400, 160], [0, 0, 1]], distortion=(-0.25, 0.07, 0.004, -0.006)),
}
#: Three dots, red, green and blue, on two "people", and boxes around them.
DOTS = np.array([[[230.0, 90], [290, 100], [255, 150]], [[90, 190], [130, 180], [112, 230]]])
BOXES = np.array([[205.0, 60, 110, 125], [70, 150, 80, 110]])


class DotFinder(torch.nn.Module):
    """Stands for a network that is right: joints of one side are at the red dot, of the other at the green one.

    Which side is which it sees by whether red, green, blue go round clockwise, so in a mirrored crop it takes the one
    for the other, as a network does with people. Every dot is DISTANCE away.
    """

    def __init__(self, joints, side=96, head="joints"):
        super().__init__()
        self.design, self.nothing = SimpleNamespace(side=side, head=head), torch.nn.Parameter(torch.zeros(1))
        names = [name.split("/")[1] for name in joints.names]
        self.dots = {turned: [self._dot(name, turned) for name in names] for turned in (False, True)}
        self.seen = []

    @staticmethod
    def _dot(name, turned):
        return {"left": (0, 1)[turned], "right": (1, 0)[turned]}.get(name.split("_")[0], 2)

    def forward(self, images, intrinsics):
        assert not self.training
        self.seen.append((images, intrinsics))
        values = images.double() * (images > 20)
        grid = torch.arange(images.shape[-1], dtype=torch.float64)
        total = values.sum(dim=(2, 3)).clamp(min=1)
        pixels = torch.stack([(values.sum(2) * grid).sum(2) / total, (values.sum(3) * grid).sum(2) / total], dim=-1)
        rays = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1) @ intrinsics.double().inverse().mT
        places = rays / rays.norm(dim=-1, keepdim=True) * DISTANCE
        a, b = pixels[:, 1] - pixels[:, 0], pixels[:, 2] - pixels[:, 0]
        turned = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0).tolist()
        found = torch.stack([place[self.dots[turn]] for place, turn in zip(places, turned, strict=True)])
        return Prediction(joints=found.float(), latents=None)


def picture():
    """The dots, 2 px wide each."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    image = np.zeros((SIZE[1], SIZE[0], 3))
    for dots in DOTS:
        for channel, (u, v) in enumerate(dots):
            image[..., channel] += 250 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 8)
    return np.round(image).astype(np.uint8)


def truth(camera, joints=JOINTS):
    """Where the joints of both people are, (2, J, 3)."""
    rays = np.concatenate([camera.rays(DOTS), np.ones((2, 3, 1))], axis=-1)
    places = rays / np.linalg.norm(rays, axis=-1, keepdims=True) * DISTANCE
    sides = {"left": 0, "right": 1}
    return places[:, [sides.get(name.split("/")[1].split("_")[0], 2) for name in joints.names]]


@pytest.mark.parametrize("options", [
    {}, {"flip_test": True}, {"crops": 5}, {"crops": 4, "flip_test": True, "batch": 3}, {"crops": [View(flip=True)]},
    {"crops": [View(gamma=0.7, roll=0.4, zoom=0.8), View(roll=-0.4, flip=True)]}, {"world_up": (0.3, -0.9, 0.1)},
])  # fmt: skip
@pytest.mark.parametrize("lens", LENSES)
def test_poses_are_in_the_cameras_axes_however_they_were_cropped(lens, options):
    camera, estimator = LENSES[lens], Estimator(DotFinder(JOINTS), JOINTS)
    found = estimator.predict_all(picture(), BOXES, camera.matrix, distortion=camera.distortion, **options)
    assert found.shape == (2, len(JOINTS), 3)
    np.testing.assert_allclose(found, truth(camera), atol=3.0)  # 3 mm are 0.4 px
    poses = estimator.predict(
        picture(), BOXES, camera.matrix, distortion=camera.distortion, skeleton="coco_17", **options
    )
    assert (str(poses.skeleton), poses.units, poses.notes) == ("coco_17", "mm", [])
    np.testing.assert_array_equal(poses.points, found[:, JOINTS.slices["coco_17"]])


def test_pictures_of_one_person_each():
    camera, estimator = LENSES["straight"], Estimator(DotFinder(JOINTS), JOINTS)
    other = Camera([[300, 0, 100], [0, 300, 200], [0, 0, 1]])
    matrices = np.stack([camera.matrix, other.matrix])
    for images in ([picture(), picture()], np.stack([picture(), picture()])):
        found = estimator.predict_all(images, BOXES, matrices)
        np.testing.assert_allclose(found, np.stack([truth(camera)[0], truth(other)[1]]), atol=3.0)


def test_crops_of_unknown_cameras_are_taken_as_they_are():
    left, top, side = 190, 30, 144
    crop = np.ascontiguousarray(picture()[top : top + side, left : left + side])
    network = DotFinder(JOINTS, side=side)
    poses = Estimator(network, JOINTS).predict(np.stack([crop, crop]), skeleton="h36m_17", fov=40)
    images, intrinsics = network.seen[0]
    assert torch.equal(images[0], torch.from_numpy(crop).permute(2, 0, 1))
    focal = side / 2 / np.tan(np.radians(20))
    np.testing.assert_allclose(intrinsics[0, :2], [[focal, 0, 71.5], [0, focal, 71.5]], rtol=1e-5)
    assert poses.points.shape == (2, 17, 3)
    assert any("40 degrees" in note for note in poses.notes)
    assert any("no boxes" in note for note in poses.notes)
    single = Estimator(network, JOINTS).predict(crop, skeleton="h36m_17", fov=40)
    np.testing.assert_array_equal(single.points, poses.points[:1])


def test_a_big_picture_is_averaged_before_it_is_cropped():
    network = DotFinder(JOINTS, side=32)
    noise = np.tile(np.array([[0, 255], [255, 0]], np.uint8), (200, 200))[..., None].repeat(3, axis=2)
    camera = [[400, 0, 199.5], [0, 400, 199.5], [0, 0, 1]]
    Estimator(network, JOINTS).predict_all(noise, [[40, 40, 320, 320]], camera)
    image = network.seen[0][0].float()
    assert image[..., 4:-4, 4:-4].std() < 4
    assert image.mean() == pytest.approx(127.5, abs=3)


def test_the_usual_views_are_those_of_the_paper():
    assert usual_views(1) == (View(),)
    five = usual_views(5)
    np.testing.assert_allclose([view.gamma for view in five], [0.6, 0.7, 0.8, 0.9, 1.0])
    np.testing.assert_allclose(np.degrees([view.roll for view in five]), [-25, -12.5, 0, 12.5, 25])
    np.testing.assert_allclose([view.zoom for view in five], [0.8, 0.9, 1.0, 1.05, 1.1])
    assert [view.flip for view in five] == [False, True, False, True, False]
    with pytest.raises(InputError, match="crops"):
        usual_views(0)


def store_of_dots(folder):
    """Two datasets, in different skeletons and through different lenses; one picture is broken."""
    stores = []
    for name, format, lens in (("h36m", "h36m_17", "straight"), ("surreal", "smpl_24", "bent")):
        card, camera = skeleton(format), LENSES[lens]
        points = truth(camera, Joints.of(format))
        samples = Samples.of(card, points=points, camera=camera, image_size=SIZE, box=BOXES)
        cuts = [cut(picture(), box.astype(np.float32)) for box in BOXES]
        pictures = [content for content, _ in cuts] if name == "h36m" else [cuts[0][0], b"damaged"]
        samples = replace(samples, pictures=tuple(pictures), crop=np.stack([place for _, place in cuts]))
        stores.append(write(folder / f"{name}.h5", [samples], dataset=name))
    merge(stores, folder / "all.h5")
    return open_store(folder / "all.h5")


@pytest.mark.parametrize("options", [{"flip": True}, {"flip": False, "batch": 3}, {"flip": True, "workers": 1}])
def test_a_whole_store_is_predicted_in_order(tmp_path, options):
    store = store_of_dots(tmp_path)
    network = DotFinder(JOINTS)
    found = list(Estimator(network, JOINTS).predict_store(store, **options))
    assert np.concatenate([rows for rows, _ in found]).tolist() == [0, 1, 2, 3]
    points = np.concatenate([points for _, points in found])
    wanted = np.concatenate([truth(LENSES["straight"]), truth(LENSES["bent"])])
    np.testing.assert_allclose(points[:3], wanted[:3], atol=8.0)  # JPEG blurs colours
    assert np.isnan(points[3]).all()


def small(head="joints", latents=0):
    torch.manual_seed(0)
    design = Design(backbone="mobilenetv3_small_050", pretrained=False, side=64, ghost=(), head=head)
    return PoseNetwork(design, len(JOINTS), latents)


def test_a_saved_network_predicts_as_before(tmp_path):
    network = small().eval()
    save_model(tmp_path / "model.safetensors", network, JOINTS, None, {})
    loaded = Estimator.load(tmp_path / "model.safetensors")
    assert [str(card) for card in loaded.skeletons] == ["h36m_17", "coco_17"]
    one, other = (each.predict_all(picture(), BOXES) for each in (Estimator(network, JOINTS), loaded))
    np.testing.assert_array_equal(one, other)
    assert np.isfinite(one).all()
    network.train()
    np.testing.assert_array_equal(Estimator(network, JOINTS).predict_all(picture(), BOXES), one)
    assert network.training
    assert loaded.to("cpu").device == torch.device("cpu")
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(FileFormatError):
        Estimator.load(tmp_path / "model.safetensors")


def test_averaging_over_flips_makes_predictions_mirror_images_of_each_other():
    estimator = Estimator(small(), JOINTS)
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    intrinsics = torch.tensor([[80.0, 0, 30], [0, 80, 33], [0, 0, 1]]).repeat(3, 1, 1)
    mirrored = intrinsics.clone()
    mirrored[:, 0, 2] = 63 - 30
    points = estimator.predict_crops(images, intrinsics, flip=True)
    other = estimator.predict_crops(images.flip(-1), mirrored, flip=True)
    other = (other * torch.tensor([-1.0, 1, 1]))[:, torch.from_numpy(JOINTS.mirror)]
    torch.testing.assert_close(points, other, atol=0.05, rtol=1e-4)
    plain = estimator.predict_crops(images, intrinsics)
    assert (plain - points).abs().max() > 1


def test_latents_are_decoded():
    random = np.random.default_rng(0)
    decoder = random.uniform(0, 1, (len(JOINTS), 6))
    decoder /= decoder.sum(axis=1, keepdims=True)
    acae = SimpleNamespace(encoder=np.full((6, len(JOINTS)), 1 / len(JOINTS)), decoder=decoder)
    network = small("latents", 6)
    found = Estimator(network, JOINTS, acae).predict_all(picture(), BOXES[:1], np.diag([300.0, 300, 1]))
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    intrinsics = torch.tensor([[[80.0, 0, 31.5], [0, 80, 31.5], [0, 0, 1]]])
    latents = network.eval()(images, intrinsics).latents.detach().numpy()
    points = Estimator(network, JOINTS, acae).predict_crops(images, intrinsics).numpy()
    np.testing.assert_allclose(points, decoder @ latents, atol=0.05, rtol=1e-4)
    assert found.shape == (1, len(JOINTS), 3)
    with pytest.raises(InputError, match="autoencoder"):
        Estimator(network, JOINTS)


@pytest.mark.parametrize(("wrong", "said"), [
    ({"images": picture().astype(float)}, "images"),
    ({"images": [picture()[..., 0]]}, "images"),
    ({"images": "a.jpg"}, "images"),
    ({"boxes": BOXES[:, :3]}, "boxes"),
    ({"images": [picture()], "boxes": BOXES}, r"shape \(1, 4\)"),
    ({"boxes": BOXES * 0}, "box"),
    ({"intrinsics": np.eye(4)}, "intrinsics"),
    ({"intrinsics": None, "fov": 190}, "fov"),
    ({"skeleton": "smpl_24"}, r"h36m_17, coco_17.*poses.to\('smpl_24'\)"),
    ({"crops": 0}, "crops"),
])  # fmt: skip
def test_wrong_arguments_are_told(wrong, said):
    given = {"images": picture(), "boxes": BOXES, "intrinsics": LENSES["straight"].matrix, "skeleton": "coco_17"}
    with pytest.raises(InputError, match=said):
        Estimator(DotFinder(JOINTS), JOINTS).predict(**{**given, **wrong})


def test_no_people_no_poses():
    found = Estimator(DotFinder(JOINTS), JOINTS).predict(picture(), np.zeros((0, 4)), skeleton="h36m_17")
    assert found.points.shape == (0, 17, 3)


def test_drawn_people_of_a_store(tmp_path):
    """A real network on drawn people: finite, before the camera, and the same whatever the size of batches."""
    store = open_store(write(tmp_path / "a.h5", [people("h36m_17", 5)]))
    estimator = Estimator(small(), JOINTS)
    one, other = (np.concatenate([p for _, p in estimator.predict_store(store, batch=n)]) for n in (2, 5))
    np.testing.assert_allclose(one, other, atol=0.5)
    assert np.isfinite(one).all()
