from __future__ import annotations

import pytest
import torch

from nasproxy.config import PADConfig, full_recipe
from nasproxy.distill.pad import PAD
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.progress import unwatched
from nasproxy.proxy import teacher
from nasproxy.proxy.coreset import LABELS, SELECTIONS, choose_random, make_baseline
from nasproxy.proxy.store import load_proxy, save_proxy
from nasproxy.proxy.teacher import TEMPERATURE
from nasproxy.training.evaluate import predict
from nasproxy.training.expert import load_experts
from nasproxy.training.network import TrainingSet, train_network

SMALL = {"family": "convnet", "depth": 1, "width": 4, "norm": "batch"}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(teacher, "TEACHER", SMALL)


@pytest.fixture
def data(make_dataset):
    return make_dataset()


def make(data, kind="random", ipc=2, seed=0, *, labels="soft", teachers=2, epochs=1, **others):
    if labels != "hard":
        others |= {"num_teachers": teachers, "teacher_epochs": epochs}
    return make_baseline(data, kind, ipc, seed, labels=labels, workers=1, **others)


def test_soft_labels_are_the_teachers_mean_probabilities(data, tmp_path):
    """Teachers are networks that `train_network` trains on the full training split."""
    proxy = make(data, experts=tmp_path, epochs=2, temperature=3.0)
    train = TrainingSet(data.train.images, data.train.labels, 3, data.augmentation)
    expected = torch.zeros(6, 3)
    for expert in load_experts(tmp_path):
        recipe = full_recipe(len(data.train)).replace(epochs=2)
        network = train_network(SMALL, train, recipe, expert.record.seed)
        expected += (predict(network, proxy.images) / 3).softmax(1) / 2
    torch.testing.assert_close(proxy.soft_labels, expected, rtol=1e-4, atol=1e-5)
    assert proxy.soft_labels.dtype == torch.float32


def test_teachers_of_few_images_learn_as_long_as_verification_takes(data, tmp_path):
    """Three epochs of 256 images at a time taught them nothing on small data sets."""
    record = make(data, teachers=1, epochs=None).manifest.config["teachers"]
    assert record["recipe"] == full_recipe(len(data.train)).to_dict()
    assert record["recipe"]["epochs"] == 20


@pytest.mark.parametrize("kind", [*SELECTIONS, "full"])
def test_images_are_those_of_hard_labels(data, kind, tmp_path):
    hard, soft = (make(data, kind, labels=labels, experts=tmp_path) for labels in LABELS)
    assert torch.equal(hard.images, soft.images)
    assert torch.equal(hard.labels, soft.labels)
    assert hard.soft_labels is None
    assert hard.manifest.config.keys() == {"data"}
    assert soft.soft_labels.shape == (len(soft.images), 3)
    assert soft.training_set().targets is soft.soft_labels


def test_the_manifest_says_who_taught_and_what_it_cost(data, tmp_path):
    hard, soft = make(data, labels="hard"), make(data)
    record = soft.manifest.config["teachers"]
    assert soft.manifest.config["labels"] == "soft"
    assert record["architecture"] == SMALL
    assert record["recipe"]["epochs"] == 1
    assert len(set(record["sha256"])) == 2
    assert all(0 <= accuracy <= 1 for accuracy in record["validation_accuracy"])
    assert soft.manifest.seconds >= record["seconds"] > hard.manifest.seconds
    save_proxy(soft, tmp_path)
    found = load_proxy(tmp_path)
    assert torch.equal(found.soft_labels, soft.soft_labels)


def test_the_same_seed_the_same_labels(data):
    one, two, three = make(data), make(data), make(data, seed=1)
    assert torch.equal(one.soft_labels, two.soft_labels)
    assert not torch.equal(one.soft_labels, three.soft_labels)
    assert not torch.equal(one.soft_labels, make(data, teachers=1).soft_labels)


def test_teachers_are_kept_and_completed(data, tmp_path):
    make(data, experts=tmp_path, teachers=1)
    first = (tmp_path / "expert-000.safetensors").stat().st_mtime_ns
    both = make(data, experts=tmp_path)
    assert (tmp_path / "expert-000.safetensors").stat().st_mtime_ns == first
    assert torch.equal(both.soft_labels, make(data).soft_labels)
    again = make(data, experts=tmp_path)  # nothing is trained, and yet it has cost something
    assert again.manifest.config == both.manifest.config
    assert again.manifest.seconds >= both.manifest.config["teachers"]["seconds"]


def test_a_distillations_experts_can_teach(data, tmp_path):
    config = PADConfig(
        ipc=1, experts=3, expert_batch=8, expert_lr=0.1, filter_samples=False, first_max_start=1,
        max_start=1, depth=1, width=6,
    )  # fmt: skip
    PAD(config).prepare(data, tmp_path, workers=1, watch=unwatched)
    proxy = make(data, experts=tmp_path, teachers=None, epochs=None)
    record = proxy.manifest.config["teachers"]
    assert record["architecture"]["width"] == 6
    assert len(record["sha256"]) == 3
    experts = load_experts(tmp_path)
    networks = [expert.network(torch.device("cpu")) for expert in experts]
    expected = (
        sum((predict(network, proxy.images) / TEMPERATURE).softmax(1) for network in networks) / 3
    )
    torch.testing.assert_close(proxy.soft_labels, expected)
    assert len(list(tmp_path.glob("*.json"))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teachers": 3, "epochs": None}, r"leave out --teachers 3, or choose another --exp"),
        ({"teachers": None, "epochs": 2}, r"2 networks .* for 1 epochs.*--teacher-epochs 2"),
    ],
)
def test_teachers_that_are_there_are_not_those_asked_for(data, tmp_path, options, message):
    make(data, experts=tmp_path, epochs=1)
    with pytest.raises(ConfigError, match=message):
        make(data, experts=tmp_path, **options)
    assert make(data, experts=tmp_path, teachers=2, epochs=None).soft_labels is not None


@pytest.mark.parametrize(
    ("option", "name"),
    [("num_teachers", "teachers"), ("teacher_epochs", "teacher-epochs"), ("temperature", "temp")],
)
def test_hard_labels_have_no_teachers(data, option, name):
    with pytest.raises(ConfigError, match=rf"leave out --{name}.* 4, or use --labels soft"):
        make_baseline(data, "random", 2, 0, **{option: 4})


def test_teachers_of_other_data_are_refused(data, make_dataset, tmp_path):
    make(data, experts=tmp_path)
    with pytest.raises(ArtifactError, match=r"trained on other data .*--experts-dir"):
        make(make_dataset(seed=1), experts=tmp_path)
    with pytest.raises(ArtifactError, match=r"trained on images of \(1, 8, 8\)"):
        make(make_dataset(shape=(1, 12, 12)), experts=tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "sofd"}, r"unknown kind of labels 'sofd': .*did you mean 'soft'\? \(--labels"),
        ({"teachers": 0}, r"teachers must be >= 1, got 0 \(--teachers\)"),
        ({"epochs": 0}, r"teacher-epochs must be >= 1, got 0 \(--teacher-epochs\)"),
    ],
)
def test_misuse(data, change, message):
    with pytest.raises(ConfigError, match=message):
        make(data, **change)


def test_a_missing_teacher_is_no_silent_loss(data, tmp_path):
    """Images chosen are the same with teachers as without."""
    assert torch.equal(make(data).images, choose_random(data.train, 2, 0).images)
    make(data, experts=tmp_path)
    (tmp_path / "expert-001.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"expert-001.* is cut off or was changed"):
        make(data, experts=tmp_path)


def test_labels_must_stay_numbers(data, tmp_path):
    with pytest.raises(ConfigError, match=r"temperature 1e-40 leaves no numbers.*--temperature"):
        make(data, experts=tmp_path, epochs=1, temperature=1e-40)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_temperature_must_be_positive(data, temperature):
    with pytest.raises(ConfigError, match=rf"temperature must be > 0, got {temperature}.*--temp"):
        make(data, temperature=temperature)
