from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.config import PADConfig
from nasproxy.distill import ranking, trajectory
from nasproxy.distill.difficulty import Curriculum, build_curriculum, el2n, gradient_norm
from nasproxy.distill.ranking import RankingTraining
from nasproxy.distill.trajectory import (
    Trajectories,
    expert_recipe,
    gather_trajectories,
    plan_experts,
    start_limit,
)
from nasproxy.errors import ArtifactError, ConfigError
from nasproxy.progress import unwatched
from nasproxy.training.network import TrainingSet, train_network

ARCHITECTURE = {"family": "convnet", "depth": 1, "width": 4}
TINY = PADConfig(
    iterations=10, experts=2, expert_batch=8, expert_lr=0.1, difficulty_networks=2,
    difficulty_epochs=2, add_until=2, first_max_start=1, max_start=3, match_distance=2,
)  # fmt: skip


@pytest.fixture
def data(make_dataset):
    return make_dataset((12, 12, 10))


def gather(data, folder, config=TINY, watch=unwatched):
    return gather_trajectories(data, config, ARCHITECTURE, folder, workers=1, watch=watch)


@pytest.mark.parametrize(
    ("first", "last", "growth", "expected"),
    [
        (1, 4, None, [1, 1, 1, 2, 2, 3, 3, 3, 4, 4]),  # 4 values in 10 iterations: 2.5 each
        (3, 3, None, [3] * 10),
        (1, 3, 3, [1, 2, 3, 3, 3, 3, 3, 3, 3, 3]),
        (1, 2, 20, [1] * 10),
    ],
)
def test_the_window_of_starts_grows(first, last, growth, expected):
    config = TINY.replace(first_max_start=first, max_start=last, growth_iterations=growth)
    assert [start_limit(config, iteration) for iteration in range(10)] == expected


@pytest.mark.parametrize(
    ("change", "periods", "snapshots", "epochs"),
    [
        # 34 images in batches of 8: 5 steps an epoch; snapshots 0 to 3 - 1 + 2 are read
        ({}, 4, 5, 4),
        ({"snapshot_steps": 7}, 4, 5, 6),  # 28 steps
        ({"expert_epochs": 4}, 4, 5, 4),
        ({"expert_epochs": 9}, 9, 5, 9),
        ({"expert_epochs": 6, "snapshot_steps": 7}, 4, 5, 6),  # 30 steps
        ({"expert_epochs": 9, "snapshot_steps": 7}, 6, 5, 9),  # 45 steps, 42 of them done
        ({"expert_steps": 36}, 8, 5, 8),  # epochs of 5 steps
        ({"expert_steps": 1}, 4, 5, 4),  # the last snapshot needs more
        ({"expert_steps": 36, "snapshot_steps": 7}, 6, 5, 9),
        ({"max_start": 7, "match_distance": 1}, 7, 8, 7),
    ],
)
def test_experts_train_as_long_as_they_are_read(data, change, periods, snapshots, epochs):
    plan = plan_experts(TINY.replace(**change), ARCHITECTURE, data)
    assert (plan.num_periods, plan.num_snapshots, plan.recipe.epochs) == (
        periods, snapshots, epochs,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        ({"expert_epochs": 3}, "need 5 snapshots, but 3 epochs of 5 steps with one every epoch"),
        (
            {"expert_epochs": 5, "snapshot_steps": 7},
            "need 5 snapshots, but 5 epochs of 5 steps with one every 7 steps have 4",
        ),
    ],
)
def test_more_start_snapshots_than_saved(data, tmp_path, change, numbers):
    with pytest.raises(ConfigError, match=f"more start snapshots than saved: .*{numbers}"):
        gather(data, tmp_path, TINY.replace(**change))
    assert not list(tmp_path.iterdir())


def test_segments_are_parts_of_a_trajectory(data, tmp_path):
    trajectories, _ = gather(data, tmp_path)
    known = [[expert.snapshot(i) for i in range(5)] for expert in trajectories.experts]
    seen = set()
    for iteration in range(10):
        for draw in range(20):
            generator = named_generator(iteration, draw)
            segment = trajectories.draw(iteration, generator, torch.device("cpu"))
            (found,) = [
                (e, i)
                for e in range(2)
                for i in range(5)
                if torch.equal(known[e][i], segment.start)
            ]
            assert torch.equal(segment.target, known[found[0]][found[1] + 2])
            assert found[1] < start_limit(TINY, iteration)
            seen.add(found)
    assert seen == {(e, i) for e in range(2) for i in range(3)}
    late = Trajectories(trajectories.experts, TINY.replace(min_start=2, first_max_start=3))
    segment = late.draw(0, named_generator(0), torch.device("cpu"))
    assert any(torch.equal(segment.start, known[e][2]) for e in range(2))


def test_experts_learn_by_the_curriculum_of_the_ranking(data, tmp_path, monkeypatch):
    """The first epoch of an expert leaves the hard quarter of each class alone."""
    used = []

    class Spy(Curriculum):
        def __call__(self, period):
            used.append((period, super().__call__(period).tolist()))
            return torch.tensor(used[-1][1])

    def build(scores, labels, config):
        return Spy(**vars(build_curriculum(scores, labels, config)))

    monkeypatch.setattr(trajectory, "build_curriculum", build)
    with_filter, _ = gather(data, tmp_path / "filter")
    scores = ranking.load((tmp_path / "filter" / ranking.TENSORS_FILE).read_bytes())["scores"]
    easy = []
    for label in range(3):
        members = (data.train.labels == label).nonzero().flatten()
        order = members[scores[members].argsort(stable=True)]
        easy += order[: round(0.75 * len(members) + 0.49)].tolist()  # 9 of 12, 8 of 10
    first = [images for period, images in used if period == 0]
    assert first
    assert all(images == sorted(easy) for images in first)
    assert max(len(images) for _, images in used) == 34  # in the end all of them

    without, _ = gather(data, tmp_path / "plain", TINY.replace(filter_samples=False))
    pairs = zip(with_filter.experts, without.experts, strict=True)
    assert not any(torch.equal(one.snapshot(1), two.snapshot(1)) for one, two in pairs)


def test_images_of_other_classes_rank_as_hard(data, tmp_path):
    hard = torch.tensor([3, 4, 15, 30])
    train = replace(data.train, images=data.train.images.clone())
    train.images[hard] = data.train.images[[20, 25, 30, 5]]  # of other classes
    config = TINY.replace(difficulty_networks=3, difficulty_epochs=6)
    gather(replace(data, train=train), tmp_path, config)
    scores = ranking.load((tmp_path / ranking.TENSORS_FILE).read_bytes())["scores"]
    assert set(hard.tolist()) <= set(scores.argsort()[-7:].tolist())


def test_without_the_filter_nothing_is_ranked(data, tmp_path):
    plain, seconds = gather(data, tmp_path, TINY.replace(filter_samples=False))
    assert not (tmp_path / ranking.RECORD_FILE).exists()
    assert seconds == sum(expert.record.seconds for expert in plain.experts)
    assert plain.experts[0].record.plan.samples is None
    with pytest.raises(ArtifactError, match=r"of another kind \(.*easy_fraction None instead of"):
        gather(data, tmp_path)


def test_the_ranking_is_done_once_and_counted(data, tmp_path):
    said = []
    trajectories, seconds = gather(data, tmp_path, watch=said.append)
    assert [p.done for p in said if p.stage == "ranking"] == [0, 1, 2]
    record = json.loads((tmp_path / ranking.RECORD_FILE).read_text())
    assert seconds == pytest.approx(
        record["seconds"] + sum(expert.record.seconds for expert in trajectories.experts)
    )
    for path in tmp_path.glob("expert-*"):
        path.unlink()
    said.clear()
    gather(data, tmp_path, watch=said.append)
    assert not [p for p in said if p.stage == "ranking"]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (lambda s: s[:-1], r"holds torch.float32 \(33,\) instead of a score each for 34 images"),
        (lambda s: s.double(), "holds torch.float64"),
        (lambda s: s.where(s > s.min(), float("nan")), "no finite numbers"),
    ],
)
def test_a_ranking_that_ranks_nothing(data, tmp_path, scores, message):
    gather(data, tmp_path)
    path, said = tmp_path / ranking.TENSORS_FILE, tmp_path / ranking.RECORD_FILE
    content = ranking.save({"scores": scores(ranking.load(path.read_bytes())["scores"])})
    path.write_bytes(content)
    record = {**json.loads(said.read_text()), "sha256": ranking.sha256_of([content])}
    said.write_text(json.dumps(record))
    for expert in tmp_path.glob("expert-*"):
        expert.unlink()
    with pytest.raises(ArtifactError, match=f"{message}.*delete difficulty.json"):
        gather(data, tmp_path)


def test_a_ranking_that_is_too_large(data, tmp_path, monkeypatch):
    gather(data, tmp_path)
    for expert in tmp_path.glob("expert-*"):
        expert.unlink()
    monkeypatch.setattr(ranking, "MAX_TENSORS_BYTES", 100)
    with pytest.raises(ArtifactError, match="larger than 100 bytes"):
        gather(data, tmp_path)


@pytest.mark.parametrize("difficulty", ["el2n", "gradient", "forgetting"])
def test_scores_are_those_of_a_network_trained_for_them(data, difficulty):
    train = TrainingSet(data.train.images, data.train.labels, 3, data.augmentation)
    recipe = expert_recipe(TINY, 3)
    work = RankingTraining(train, ARCHITECTURE, recipe, difficulty, seed=0)
    scores = torch.from_numpy(work(1, lambda step, value: None))
    assert scores.shape == (34,)
    if difficulty == "forgetting":
        assert set(scores.tolist()) <= {0, 1, 3}
        return
    from nasproxy._random import named_seed

    model = train_network(ARCHITECTURE, train, recipe, named_seed(0, "difficulty", 1)).eval()
    with torch.no_grad():
        embedding = model.features(data.train.images).embedding
        logits = model.classifier(embedding)
    expected = {
        "el2n": el2n(logits, data.train.labels),
        "gradient": gradient_norm(logits, embedding, data.train.labels),
    }
    torch.testing.assert_close(scores, expected[difficulty], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fault", ["cut off", "other", "gone", "no scores"])
def test_a_ranking_that_cannot_be_used(data, tmp_path, fault):
    gather(data, tmp_path)
    for path in tmp_path.glob("expert-*"):
        path.unlink()
    path, record = tmp_path / ranking.TENSORS_FILE, tmp_path / ranking.RECORD_FILE
    config, message = TINY, "delete difficulty.json"
    if fault == "cut off":
        path.write_bytes(path.read_bytes()[:-4])
    elif fault == "other":
        config, message = TINY.replace(difficulty="gradient"), "ranks other images, or in another"
    elif fault == "gone":
        path.unlink()
        message = "cannot read"
    else:
        path.write_bytes(b"")
        content = json.loads(record.read_text())
        record.write_text(json.dumps({**content, "sha256": ranking.sha256_of([b""])}))
    with pytest.raises(ArtifactError, match=re.escape(message)):
        gather(data, tmp_path, config)


@pytest.mark.parametrize("content", ["[]", "{}", '{"seconds": "long"}', "{"])
def test_a_ranking_whose_record_is_damaged(data, tmp_path, content):
    gather(data, tmp_path)
    (tmp_path / ranking.RECORD_FILE).write_text(content)
    with pytest.raises(ArtifactError, match=r"difficulty\.json"):
        gather(data, tmp_path)
