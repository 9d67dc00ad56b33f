from __future__ import annotations

import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from image_files import folder_config, write_classes
from PIL import Image

from nasproxy._random import named_generator
from nasproxy.config import GENERIC, Augmentation, DataConfig, Recipe
from nasproxy.data.dataset import LabelledImages, load_dataset
from nasproxy.data.decoded import map_images
from nasproxy.data.holdout import load_test_split
from nasproxy.data.pixels import Normalization, StoredImages, fits_memory, measure, to_images
from nasproxy.errors import DataError
from nasproxy.models.norm import recalibrate_batch_norm
from nasproxy.proxy.coreset import make_baseline
from nasproxy.training.evaluate import accuracy, predict
from nasproxy.training.network import TrainingSet, train_network

AS_IT_IS = Normalization((0.0,), (1.0,))
SHAPE = (3, 6, 6)


@pytest.fixture
def pixels(monkeypatch):
    """Mapped pixels (40, 3, 6, 6), and what they are in memory."""
    drawn = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), np.uint8)
    mapped, _ = map_images("entry", SHAPE, lambda facts: iter([drawn]))
    return mapped


@pytest.fixture
def normalization(pixels):
    return measure(pixels, None)


@pytest.fixture
def stored(pixels, normalization, monkeypatch):
    monkeypatch.setenv("NASPROXY_IN_MEMORY", "0")
    found = to_images(pixels, None, normalization, None)
    assert isinstance(found, StoredImages)
    return found


@pytest.fixture
def whole(pixels, normalization, monkeypatch):
    monkeypatch.setenv("NASPROXY_IN_MEMORY", "1")
    return to_images(np.array(pixels), None, normalization, None)


def test_normalization_undoes_itself_and_clips():
    normalization = Normalization((0.1, 0.5), (0.2, 0.4))
    pixels = torch.rand(3, 2, 4, 4)
    images = normalization.apply(pixels)
    torch.testing.assert_close(images[:, 1], (pixels[:, 1] - 0.5) / 0.4)
    torch.testing.assert_close(normalization.undo(images), pixels)
    assert normalization.undo(images * 100).max() == 1


@pytest.mark.parametrize("size", [4, 12])
def test_resizing_is_pillows(size):
    image = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    found = to_images(image[None, None], None, AS_IT_IS, size)[0, 0] * 255
    resized = Image.fromarray(image.astype(np.float32)).resize((size, size), 2)  # 2: bilinear
    torch.testing.assert_close(found, torch.from_numpy(np.array(resized)), atol=0.01, rtol=0)


@pytest.mark.parametrize("chunk", [1, 1000, 2**23])
@pytest.mark.parametrize("shape", [(7, 1, 5, 4), (300, 3, 9, 9)])
def test_statistics_are_numpys_however_they_are_cut(monkeypatch, shape, chunk):
    monkeypatch.setattr("nasproxy.data.pixels._CHUNK_BYTES", chunk)
    drawn = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    found = measure(drawn, None)
    exact = drawn.astype(np.float64) / 255
    assert found.mean == pytest.approx(exact.mean((0, 2, 3)), rel=1e-6)
    assert found.std == pytest.approx(exact.std((0, 2, 3)), rel=1e-6)


@pytest.mark.parametrize("value", [0, 255, 7])
def test_pixels_that_are_all_the_same_have_a_positive_deviation(value):
    found = measure(np.full((5, 1, 4, 4), value, np.uint8), None)
    assert found.std == (1e-6,)
    assert found.mean == pytest.approx((value / 255,))
    images = to_images(np.full((5, 1, 4, 4), value, np.uint8), None, found, None)
    assert images.isfinite().all()


@pytest.mark.parametrize("chunk", [1, 700, 2**23])
@pytest.mark.parametrize("size", [None, 4, 9])
def test_images_are_the_same_however_they_are_cut(monkeypatch, chunk, size):
    drawn = np.random.default_rng(2).integers(0, 256, (11, 3, 6, 6), np.uint8)
    rows = torch.tensor([3, 1, 10])
    normalization = measure(drawn, size)
    expected = to_images(drawn, None, normalization, size)[rows]
    monkeypatch.setattr("nasproxy.data.pixels._CHUNK_BYTES", chunk)
    found = to_images(drawn, rows, normalization, size)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert found.dtype == torch.float32


def test_no_rows():
    drawn = np.zeros((3, 1, 4, 4), np.uint8)
    assert to_images(drawn, torch.arange(0), AS_IT_IS, None).shape == (0, 1, 4, 4)


def test_memory_decides_unless_the_environment_does(monkeypatch):
    monkeypatch.delenv("NASPROXY_IN_MEMORY", raising=False)
    assert fits_memory(2**20)
    assert not fits_memory(2**60)
    monkeypatch.setenv("NASPROXY_IN_MEMORY", "0")
    assert not fits_memory(1)
    monkeypatch.setenv("NASPROXY_IN_MEMORY", "1")
    assert fits_memory(2**60)


def test_arrays_that_are_in_memory_stay_there(monkeypatch):
    monkeypatch.setenv("NASPROXY_IN_MEMORY", "0")
    found = to_images(np.zeros((3, 1, 4, 4), np.uint8), None, AS_IT_IS, None)
    assert isinstance(found, torch.Tensor)


CHOICES = [
    torch.tensor([3, 1, 1, 39]),
    torch.arange(40).flip(0),
    torch.tensor([], dtype=torch.int64),
    torch.tensor([-1, -40]),
    torch.arange(40) % 3 == 0,
    slice(5, 9),
    slice(None, 1),
    slice(0, 0),
    slice(None, None, 7),
    slice(-3, None),
    [2, 5],
    4,
    -1,
]


@pytest.mark.parametrize("chosen", CHOICES, ids=str)
def test_taken_images_are_those_in_memory_bit_for_bit(stored, whole, chosen):
    assert torch.equal(stored[chosen], whole[chosen])


@pytest.mark.parametrize("chosen", [40, torch.tensor([0, 40]), torch.zeros(7, dtype=torch.bool)])
def test_what_is_not_there_cannot_be_taken(stored, chosen):
    with pytest.raises(IndexError):
        stored[chosen]


def test_in_the_places_of_a_tensor(stored, whole):
    assert len(stored) == len(whole)
    assert stored.shape == whole.shape
    assert (stored.ndim, stored.dtype, stored.device) == (4, torch.float32, whole.device)
    assert stored.contiguous(memory_format=torch.channels_last) is stored
    for size in (1, 7, 40, 100):
        for found, expected in zip(stored.split(size), whole.split(size), strict=True):
            assert torch.equal(found, expected)
    rows = torch.tensor([9, 3, 3])
    part = stored.select(rows)
    assert isinstance(part, StoredImages)
    assert torch.equal(part[:], whole[rows])
    assert torch.equal(part.select(torch.tensor([2, 0]))[:], whole[rows][[2, 0]])
    assert torch.equal(stored.to(torch.device("cpu"))[:], whole)


def test_iterating_ends(stored, whole):
    assert torch.equal(torch.stack(list(stored)), whole)


REFUSED = {
    "method": lambda images: images.flatten(1),
    "attribute": lambda images: images.T,
    "mean": lambda images: images.mean((0, 2, 3)),
    "function": lambda images: torch.cat([images, images]),
    "unary function": torch.isfinite,
    "arithmetic": lambda images: images - 1,
    "arithmetic from the right": lambda images: torch.ones(3) * images,
    "comparison": lambda images: images > 0,
    "assignment": lambda images: images.__setitem__(0, 1),
}


@pytest.mark.parametrize("work", REFUSED.values(), ids=REFUSED)
def test_whole_tensor_operations_are_refused_in_words(stored, work):
    with pytest.raises(DataError, match=r"40 images of \(3, 6, 6\) do not fit.*--image-size"):
        work(stored)


def test_pickling_copies_no_image(stored, whole):
    content = pickle.dumps(stored)
    assert len(content) < whole.numel()
    assert torch.equal(pickle.loads(content)[:], whole)
    stored[:1]  # now that its file is open
    again = pickle.loads(pickle.dumps(stored))
    assert len(pickle.dumps(stored)) == len(content)
    assert torch.equal(again[:], whole)
    assert again.shape == whole.shape


def _sum_of(images, answers):
    answers.put(images[torch.tensor([0, 5])].sum().item())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_another_process_opens_the_file_itself(stored, whole):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_sum_of, args=(stored, answers))
    process.start()
    assert answers.get(timeout=120) == whole[[0, 5]].sum().item()
    process.join()


@pytest.fixture
def both(tmp_path, monkeypatch):
    """The same data set in memory and on disk."""
    write_classes(tmp_path / "data", 30, "ant", "bee", "cat")
    found = []
    for value in ("1", "0"):
        monkeypatch.setenv("NASPROXY_IN_MEMORY", value)
        found.append(load_dataset(folder_config(tmp_path / "data", seed=3)))
    assert isinstance(found[0].train.images, torch.Tensor)
    assert isinstance(found[1].train.images, StoredImages)
    return found


def test_splits_parts_and_statistics_are_the_same(both):
    memory, disk = both
    assert memory.normalization == disk.normalization
    assert memory.fingerprint == disk.fingerprint
    assert memory.image_shape == disk.image_shape
    for first, second in ((memory.train, disk.train), (memory.validation, disk.validation)):
        assert len(first) == len(second)
        assert torch.equal(first.images, second.images[:])
        assert torch.equal(first.labels, second.labels)
    for size in (4, 7, None):
        first, second = memory.validation_part(size), disk.validation_part(size)
        assert torch.equal(first.images[:], second.images[:])
        assert torch.equal(first.labels, second.labels)
    for size in (0, 20):
        assert torch.equal(memory.calibration_part(size), disk.calibration_part(size))
    tests = [load_test_split(data) for data in both]
    assert torch.equal(tests[0].images[:], tests[1].images[:])
    moved = disk.to(torch.device("cpu"))
    assert torch.equal(moved.train.images[:], memory.train.images)


@pytest.mark.parametrize("augmentation", [Augmentation(), GENERIC], ids=["plain", "augmented"])
@pytest.mark.parametrize(
    "architecture",
    [
        {"family": "convnet", "depth": 1, "width": 4, "norm": "batch"},
        {"family": "convnet", "depth": 2, "width": 4, "norm": "group"},
        {"family": "mlp", "hidden": [8]},
    ],
    ids=lambda a: f"{a['family']} {a.get('norm', '')}",
)
def test_training_gives_the_same_weights(both, architecture, augmentation):
    recipe = Recipe(epochs=2, batch_size=16)
    models = []
    for data in both:
        training = TrainingSet(data.train.images, data.train.labels, 3, augmentation)
        calibration = data.calibration_part(30)
        models.append(train_network(architecture, training, recipe, 5, calibration=calibration))
    first, second = (model.state_dict() for model in models)
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
    scores = [accuracy(model, data.validation) for model, data in zip(models, both, strict=True)]
    assert scores[0] == scores[1]
    for data in both:
        assert predict(models[0], data.validation.images, 5).shape == (len(data.validation), 3)


def test_batch_norm_is_re_estimated_from_disk(both):
    models = []
    for data in both:
        training = TrainingSet(data.train.images, data.train.labels, 3, Augmentation())
        architecture = {"family": "convnet", "depth": 1, "width": 4, "norm": "batch"}
        model = train_network(architecture, training, Recipe(epochs=1), 0)
        recalibrate_batch_norm(model, data.train.images, 7)
        models.append(model.state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


@pytest.mark.parametrize("kind", ["random", "kcenter"])
def test_baseline_proxies_are_the_same(both, kind):
    memory, disk = (make_baseline(data, kind, 3, 0) for data in both)
    assert torch.equal(memory.images, disk.images)
    assert torch.equal(memory.labels, disk.labels)


def test_a_full_proxy_is_the_training_part_itself(both):
    proxy = make_baseline(both[1], "full", None, 0)
    assert isinstance(proxy.images, StoredImages)


def test_labelled_images_are_taken_alike(stored, whole):
    labels = torch.arange(40)
    chosen = named_generator(0).initial_seed() % 40 + torch.zeros(2, dtype=torch.int64)
    one = LabelledImages(stored, labels).take(chosen)
    other = LabelledImages(whole, labels).take(chosen)
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)


def test_named_data_sets_are_always_in_memory(monkeypatch):
    monkeypatch.setenv("NASPROXY_IN_MEMORY", "0")
    assert isinstance(load_dataset(DataConfig(dataset="digits")).train.images, torch.Tensor)
