"""Experts: their training, their files, and every way in which those can be the wrong ones."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nasproxy.config import DIGITS, Recipe
from nasproxy.data.dataset import Dataset
from nasproxy.errors import ArtifactError, EvaluationError
from nasproxy.training import apprentice
from nasproxy.training.apprentice import ExpertTraining, expert_bytes, train_experts
from nasproxy.training.evaluate import accuracy, predict
from nasproxy.training.expert import (
    ExpertPlan,
    check_data,
    expert_path,
    flat,
    load_expert,
    load_experts,
    outputs,
)
from nasproxy.training.network import TrainingSet, train_network

ARCHITECTURE = {"family": "convnet", "depth": 2, "width": 4, "norm": "batch"}
RECIPE = Recipe(epochs=3, batch_size=8, lr=0.1, momentum=0.5, schedule="constant")
PLAN = ExpertPlan(architecture=ARCHITECTURE, recipe=RECIPE, num_periods=3, num_snapshots=3)


@pytest.fixture
def data(make_dataset) -> Dataset:
    return replace(make_dataset((12, 12, 10)), augmentation=DIGITS)


def train(data, folder, plan=PLAN, *, num_experts=2, workers=1, seed=0, **others):
    return train_experts(
        data, plan, folder, num_experts=num_experts, seed=seed, workers=workers, **others
    )


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def tensors(folder):
    return {name: content for name, content in files(folder).items() if "safetensors" in name}


def test_an_expert_is_what_train_network_trains(data, tmp_path):
    """Same seed, same recipe: the last snapshot is the trained network, and so is `final`."""
    plan = PLAN.replace(num_snapshots=4)
    (expert,) = train(data, tmp_path, plan, num_experts=1)
    training = TrainingSet(data.train.images, data.train.labels, 3, data.augmentation)
    network = train_network(ARCHITECTURE, training, RECIPE, expert.record.seed)
    expected = flat(list(network.parameters()))
    assert torch.equal(expert.snapshot(3), expected)
    images = data.validation.images
    again = expert.network(torch.device("cpu"))
    # BatchNorm and all, but for the layout in memory
    torch.testing.assert_close(predict(again, images), predict(network, images))
    assert expert.record.validation_accuracy == accuracy(network, data.validation)
    snapshots = [expert.snapshot(index) for index in range(4)]
    assert all(len(snapshot) == expert.record.num_parameters for snapshot in snapshots)
    assert len({snapshot.sum().item() for snapshot in snapshots}) == 4


def test_only_snapshots_that_can_be_read_are_saved(data, tmp_path):
    (few,) = train(data, tmp_path / "few", num_experts=1)
    (all_,) = train(data, tmp_path / "all", PLAN.replace(num_snapshots=4), num_experts=1)
    for index in range(3):
        assert torch.equal(few.snapshot(index), all_.snapshot(index))
    sizes = [expert.path.stat().st_size for expert in (few, all_)]
    assert sizes[1] - sizes[0] == 4 * few.record.num_parameters
    images = data.validation.images
    networks = [expert.network(torch.device("cpu")) for expert in (few, all_)]
    assert torch.equal(*(predict(network, images) for network in networks))  # both end alike


def test_disk_use_is_said_before_it_is_used(data, tmp_path):
    said = []

    def watch(progress):
        said.append(progress)
        if len(said) == 1:
            assert not list(tmp_path.iterdir())

    train(data, tmp_path, watch=watch)
    assert said[0].message == "3 snapshots each, 0 MiB on disk"
    assert (said[0].stage, said[0].done, said[0].total) == ("experts", 0, 2)
    assert said[-1].done == 2
    for path in tmp_path.glob("*.safetensors"):
        estimate = expert_bytes(data, PLAN)
        assert estimate < path.stat().st_size < estimate + 1000


@pytest.mark.parametrize(
    ("period_steps", "sizes"), [(None, [8, 8, 8, 8, 2] * 2), (7, [8, 8, 8, 8, 2, 8, 8] * 2)]
)
def test_batches_pass_over_all_images(data, tmp_path, period_steps, sizes):
    plan = PLAN.replace(num_periods=2, period_steps=period_steps)
    training = TrainingSet(data.train.images, data.train.labels, 3, data.augmentation)
    work = ExpertTraining(training, data.validation, plan, tmp_path, 0)
    batches = list(work._batches(torch.Generator()))
    assert [len(batch) for batch in batches] == sizes
    first = torch.cat(batches[:5])
    assert first.sort().values.tolist() == list(range(34))  # each once a pass
    assert not torch.equal(first[:8].sort().values, batches[len(batches) // 2].sort().values)


def test_the_curriculum_names_the_images_in_use(data, tmp_path):
    members = [torch.tensor([0, 5, 9]), torch.arange(20)]
    training = TrainingSet(data.train.images, data.train.labels, 3, data.augmentation)
    plan = PLAN.replace(num_periods=2)
    work = ExpertTraining(training, data.validation, plan, tmp_path, 0, members.__getitem__)
    batches = [batch.tolist() for batch in work._batches(torch.Generator())]
    assert [len(batch) for batch in batches] == [3, 8, 8, 4]
    assert Counter(batches[0]) == Counter([0, 5, 9])
    assert sorted(i for batch in batches[1:] for i in batch) == list(range(20))
    work = replace(work, plan=plan.replace(period_steps=2))
    assert [len(batch) for batch in work._batches(torch.Generator())] == [3, 3, 8, 8]


def test_processes_and_interruptions_give_the_same_experts(data, tmp_path):
    train(data, tmp_path / "one", num_experts=3)

    class KilledError(Exception):
        pass

    def watch(progress):
        if progress.done == 2 and "expert 2" in progress.message:
            raise KilledError

    with pytest.raises(KilledError):
        train(data, tmp_path / "killed", num_experts=3, watch=watch)
    left = {name for name in files(tmp_path / "killed") if name.endswith(".json")}
    assert left == {"expert-000.json", "expert-001.json"}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("*0.*")}
    train(data, tmp_path / "killed", num_experts=3, workers=2)
    assert tensors(tmp_path / "killed") == tensors(tmp_path / "one")
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert len(set(tensors(tmp_path / "one").values())) == 3


def test_a_relative_folder_means_the_same_for_workers_elsewhere(data, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    [expert] = train(
        data, Path("experts"), num_experts=1, watch=lambda _: monkeypatch.chdir(elsewhere)
    )
    assert expert.path == tmp_path / "experts" / "expert-000.safetensors"
    assert not list(elsewhere.iterdir())


def test_finished_experts_are_not_trained_again(data, tmp_path, monkeypatch):
    train(data, tmp_path)
    monkeypatch.setattr(apprentice, "choose_executor", None)
    assert len(train(data, tmp_path)) == 2
    assert len(train(data, tmp_path, num_experts=1)) == 1
    assert len(train(data, tmp_path, seed=7)) == 2  # another distillation may use them, too
    fewer = PLAN.replace(num_snapshots=2, num_periods=2, recipe=RECIPE.replace(epochs=2).to_dict())
    assert len(train(data, tmp_path, fewer)) == 2


def test_seconds_are_the_wall_time_of_all(data, tmp_path):
    import time

    before = time.monotonic()
    experts = train(data, tmp_path, num_experts=3)
    wall = time.monotonic() - before
    assert 0.3 * wall < sum(expert.record.seconds for expert in experts) <= wall


def test_outputs_are_each_experts_logits(data, tmp_path):
    experts = train(data, tmp_path)
    images = data.validation.images
    found = outputs(experts, images)
    assert found.shape == (2, len(images), 3)
    assert not found.is_inference()
    for expert, logits in zip(experts, found, strict=True):
        assert torch.equal(logits, predict(expert.network(images.device), images))


def test_divergence_is_said(data, tmp_path):
    plan = PLAN.replace(
        recipe=RECIPE.replace(lr=1e30).to_dict(), architecture={**ARCHITECTURE, "norm": "none"}
    )
    with pytest.raises(EvaluationError, match=r"expert 0 failed: diverged in period \d: use"):
        train(data, tmp_path, plan)
    assert not list(tmp_path.glob("*.json"))


def test_a_small_disk_is_refused_before_anything_is_trained(data, tmp_path, monkeypatch):
    usage = apprentice.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(apprentice.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(ArtifactError, match=r"experts need 0\.0 GiB in .*fewer --experts"):
        train(data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_experts_of_other_data(data, make_dataset, tmp_path):
    train(data, tmp_path, num_experts=1)
    for other, message in [
        (make_dataset((12, 12, 10), seed=1), r"other data \(digits, 0{12} instead of 0{12}\)"),
        (
            replace(data, config=data.config.replace(seed=3)),
            r"another split of digits \(other seed\)",
        ),
        (make_dataset((12, 12, 10), (1, 12, 12)), r"images of \(1, 8, 8\).*--image-size 8"),
        (make_dataset((12, 12, 10), (3, 8, 8)), r"these are \(3, 8, 8\)"),
    ]:
        with pytest.raises(ArtifactError, match=message):
            train(other, tmp_path)
    check_data(load_expert(tmp_path, 0), load_expert(tmp_path, 0).record.data, (1, 8, 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"architecture": {**ARCHITECTURE, "width": 8}},
            r"an expert of another model \(width 4 instead of 8\)",
        ),
        (
            {"recipe": RECIPE.replace(lr=0.2).to_dict()},
            r"of another kind \(lr 0.1 instead of 0.2\)",
        ),
        ({"period_steps": 2}, r"\(period_steps None instead of 2\)"),
        ({"samples": {"drop": []}}, r"\(.*drop None instead of \[\]"),
        ({"num_snapshots": 4}, r"has 3 snapshots, the starts and the matching distance need 4"),
    ],
)
def test_experts_of_another_plan(data, tmp_path, change, message):
    train(data, tmp_path, num_experts=1)
    with pytest.raises(ArtifactError, match=message) as caught:
        train(data, tmp_path, PLAN.replace(**change))
    assert "--experts-dir" in str(caught.value)


def shorter(plan, periods):
    recipe = plan.recipe.replace(epochs=periods).to_dict()
    return plan.replace(num_periods=periods, recipe=recipe, num_snapshots=2)


@pytest.mark.parametrize(
    ("schedule", "periods", "message"),
    [
        ("constant", 2, r"ended after 2 periods, 3 are wanted: "),
        ("cosine", 2, r"ended after 2 periods, 3 are wanted: "),
        ("cosine", 4, r"lasted 4 periods, over which its learning rate decayed, 3 are wanted: "),
    ],
)
def test_experts_of_another_length(data, tmp_path, schedule, periods, message):
    """Their labels, and under a schedule their whole way, are not those of the plan."""
    plan = PLAN.replace(recipe=RECIPE.replace(schedule=schedule).to_dict())
    train(data, tmp_path, shorter(plan, periods), num_experts=1)
    with pytest.raises(ArtifactError, match=message + "use --expert-epochs .*--experts-dir"):
        train(data, tmp_path, shorter(plan, 3))


@pytest.mark.parametrize("damage", ["cut off", "flipped", "missing", "not JSON", "other JSON"])
def test_damaged_experts(data, tmp_path, damage):
    train(data, tmp_path, num_experts=1)
    path = expert_path(tmp_path, 0)
    content = path.read_bytes()
    record = path.with_suffix(".json")
    if damage == "cut off":
        path.write_bytes(content[:-5])
    elif damage == "flipped":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "missing":
        path.unlink()
    else:
        record.write_text("{" if damage == "not JSON" else '{"schema_version": 1}')
    with pytest.raises(ArtifactError, match=r"expert-000") as caught:
        train(data, tmp_path)
    assert "\n" not in str(caught.value)
    if damage in ("cut off", "flipped", "missing"):
        assert "delete expert-000.json" in str(caught.value)
        record.unlink()
        train(data, tmp_path, num_experts=1)  # which mends it
        assert path.read_bytes() == content


def test_a_file_that_fits_its_hash_but_holds_no_snapshots(data, tmp_path):
    from nasproxy._files import sha256_of

    train(data, tmp_path, num_experts=1)
    path = expert_path(tmp_path, 0)
    record = json.loads(path.with_suffix(".json").read_text())
    for content in (b"\x80" * 99, b""):
        path.write_bytes(content)
        record["tensors_sha256"] = sha256_of([content])
        path.with_suffix(".json").write_text(json.dumps(record))
        with pytest.raises(ArtifactError, match="holds no snapshots"):
            load_expert(tmp_path, 0)


def test_a_folder_without_experts(tmp_path):
    with pytest.raises(ArtifactError, match="holds no experts: choose another --experts-dir"):
        load_experts(tmp_path)
