"""The same session, with a method that trains experts first and learns more than images."""

from __future__ import annotations

import itertools
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from nasproxy.cli.distill import describe
from nasproxy.config import PADConfig, Recipe
from nasproxy.distill import session
from nasproxy.distill.pad import PAD
from nasproxy.distill.session import CHECKPOINT_FILE, distill
from nasproxy.errors import ArtifactError, ConfigError, EvaluationError
from nasproxy.proxy.store import load_proxy
from nasproxy.training.network import train_network

CONFIG = PADConfig(
    ipc=2, iterations=6, experts=2, expert_batch=8, expert_lr=0.1, difficulty_networks=1,
    difficulty_epochs=1, add_until=1, first_max_start=1, max_start=2, match_distance=1,
    student_steps=2, depth=1, width=4, image_lr=1.0, step_size=0.1, num_checks=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setattr(session, "CHECK_RECIPE", Recipe(epochs=3, validation_images=None))
    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", -1.0)  # after every iteration


@pytest.fixture
def data(make_dataset):
    return make_dataset()


class KilledError(Exception):
    pass


def kill_at(stage, done):
    def watch(progress):
        if (progress.stage, progress.done) == (stage, done):
            raise KilledError

    return watch


def interrupt(data, folder, stage="distill", done=3, config=CONFIG, **others):
    with pytest.raises(KilledError):
        distill(data, config, folder, workers=1, watch=kill_at(stage, done), **others)
    return folder / CHECKPOINT_FILE


def run(data, folder, config=CONFIG, **others):
    return distill(data, config, folder, workers=1, **others)


def test_an_undisturbed_run(data, tmp_path):
    seen = []
    proxy = run(data, tmp_path, watch=seen.append)
    assert [p.done for p in seen if p.stage == "distill"] == list(range(1, 7))
    assert {p.stage for p in seen} == {"experts", "ranking", "distill"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock", "experts", "final.png", "manifest.json", "middle.png", "proxy.safetensors",
        "start.png",
    ]  # fmt: skip
    manifest = proxy.manifest
    assert (manifest.kind, manifest.method, manifest.ipc) == ("synthetic", "pad", 2)
    assert manifest.seconds > manifest.config["trained_experts"]["seconds"] > 0
    assert [entry["iteration"] for entry in manifest.history] == [0, 3, 6]
    assert {"matching", "step_size"} <= set(manifest.history[1])
    found = load_proxy(tmp_path)
    assert found.soft_labels.shape == (6, 3)
    torch.testing.assert_close(found.soft_labels.sum(1), torch.ones(6))
    assert found.manifest == manifest
    training = found.training_set()
    assert torch.equal(training.targets, found.soft_labels)
    assert training.step_size == pytest.approx(found.step_size.item())


@pytest.mark.parametrize(
    ("stage", "done"),
    [("ranking", 1), ("experts", 1), ("experts", 2), ("distill", 1), ("distill", 3),
     ("distill", 6)],
)  # fmt: skip
def test_killed_and_gone_on_with_is_the_same_proxy(data, tmp_path, stage, done):
    undisturbed = run(data, tmp_path / "undisturbed")
    interrupt(data, tmp_path / "killed", stage, done)
    resumed = run(data, tmp_path / "killed")
    assert resumed.manifest.tensors_sha256 == undisturbed.manifest.tensors_sha256
    assert resumed.manifest.history == undisturbed.manifest.history
    for name in ("start.png", "middle.png", "final.png"):
        pictures = [(tmp_path / run / name).read_bytes() for run in ("undisturbed", "killed")]
        assert pictures[0] == pictures[1]


def test_hard_labels_and_no_filters(data, tmp_path):
    """MTT is the same code."""
    config = CONFIG.replace(soft_labels=False, filter_samples=False, alpha=0.0)
    proxy = run(data, tmp_path / "one", config)
    assert proxy.soft_labels is None
    assert proxy.step_size is not None
    interrupt(data, tmp_path / "two", config=config)
    assert run(data, tmp_path / "two", config).manifest.tensors_sha256 == (
        proxy.manifest.tensors_sha256
    )


def test_checks_train_on_soft_labels_and_the_start_competes(data, tmp_path, monkeypatch):
    seen = []

    def spy(architecture, training, recipe, seed, **others):
        seen.append(training)
        return train_network(architecture, training, recipe, seed, **others)

    monkeypatch.setattr(session, "train_network", spy)
    proxy = run(data, tmp_path)
    assert len(seen) == 3 * session.CHECK_SEEDS
    assert all(training.targets.shape == (6, 3) for training in seen)
    accuracies = [entry["validation_accuracy"] for entry in proxy.manifest.history]
    best = seen[accuracies.index(max(accuracies)) * session.CHECK_SEEDS]  # the earliest of equals
    assert torch.equal(proxy.images, best.images)
    assert torch.equal(proxy.soft_labels, best.targets)


def test_experts_can_be_shared(data, tmp_path):
    first = run(data, tmp_path / "first")
    seen = []
    folder = tmp_path / "first" / "experts"
    other = run(data, tmp_path / "other", CONFIG.replace(seed=1), experts=folder, watch=seen.append)
    assert not [p for p in seen if p.stage == "ranking" or "period" in p.message]
    assert not (tmp_path / "other" / "experts").exists()
    used = [proxy.manifest.config["trained_experts"] for proxy in (first, other)]
    assert used[0] == used[1]
    assert other.manifest.seconds > used[0]["seconds"]  # which it would have cost


def test_a_proxy_of_a_version_that_knew_fewer_settings(data, tmp_path):
    proxy = run(data, tmp_path)
    path = tmp_path / "manifest.json"
    record = json.loads(path.read_text())
    del record["config"]["label_temperature"]
    path.write_text(json.dumps(record))
    assert torch.equal(run(data, tmp_path).images, proxy.images)
    with pytest.raises(ArtifactError, match=r"label_temperature 1.0 instead of 2.0"):
        run(data, tmp_path, CONFIG.replace(label_temperature=2.0))


def test_a_checkpoint_on_other_experts_is_refused(data, tmp_path):
    run(data, tmp_path / "first", CONFIG.replace(seed=1))
    interrupt(data, tmp_path / "half")
    with pytest.raises(ArtifactError, match=r"on other experts than these: .*--experts-dir"):
        run(data, tmp_path / "half", experts=tmp_path / "first" / "experts")


def test_another_configuration_is_refused_before_experts_are_trained(data, tmp_path):
    interrupt(data, tmp_path / "half")
    shutil.rmtree(tmp_path / "half" / "experts")
    with pytest.raises(ArtifactError, match="width 4 instead of 8"):
        run(data, tmp_path / "half", CONFIG.replace(width=8))
    assert not (tmp_path / "half" / "experts").exists()


@pytest.mark.parametrize("name", ["extra_label_logits", "extra_step_velocity", "velocity"])
def test_a_checkpoint_that_lacks_a_tensor(data, tmp_path, name):
    from safetensors import safe_open

    path = interrupt(data, tmp_path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors, path, metadata)
    with pytest.raises(ArtifactError, match=r"checkpoint.safetensors is damaged"):
        run(data, tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"ipc": 13}, ConfigError, "ipc 13 is more than class"),
        ({"depth": 4}, ConfigError, "depth 4 with pooling halves 8x8"),
        ({"expert_epochs": 1}, ConfigError, "more start snapshots than saved"),
        ({"expert_lr": 1e30, "norm": "none"}, EvaluationError, "diverged"),
    ],
)
def test_misfits_leave_no_proxy(data, tmp_path, change, error, message):
    for _ in range(2):  # and the next call says the same
        with pytest.raises(error, match=message):
            run(data, tmp_path / "out", CONFIG.replace(**change))
    assert not list((tmp_path / "out").rglob("*.safetensors"))


def test_divergence_names_a_remedy(data, tmp_path):
    config = CONFIG.replace(image_lr=1e38, label_lr=1e38, iterations=30, num_checks=1, norm="none")
    with pytest.raises(EvaluationError, match=r"10 steps in a row.* use a smaller --image-lr"):
        run(data, tmp_path, config)


def test_skipped_steps_are_told_and_kept(data, tmp_path, monkeypatch):
    true_loss, calls = PAD._loss, itertools.count()

    def loss(*arguments):
        return true_loss(*arguments) * (torch.nan if next(calls) in (1, 3) else 1.0)

    monkeypatch.setattr(PAD, "_loss", loss)
    said = []
    proxy = run(data, tmp_path, watch=said.append)
    assert proxy.manifest.config["skipped_steps"] == 2
    assert [entry.get("skipped") for entry in proxy.manifest.history] == [None, 1, 2]
    assert "2 steps skipped" in said[-1].message
    assert "  skipped: 2 steps, whose gradients were not finite" in describe(proxy, tmp_path)


def test_a_checkpoint_of_a_version_that_did_not_add_up(data, tmp_path):
    path = interrupt(data, tmp_path)
    assert "extra_skipped" not in load_file(path)
    assert "skipped_steps" not in run(data, tmp_path).manifest.config
