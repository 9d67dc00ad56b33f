"""All that trains, distills or scores, on CUDA that is pretended: no mix of devices, few waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from pretended_cuda import CUDA, PretendedCuda, pretended_cuda

from nasproxy._random import named_generator
from nasproxy.compare.early import EarlyTraining
from nasproxy.config import DIGITS, Augmentation, DataDAMConfig, PADConfig, Recipe
from nasproxy.data.dataset import Dataset
from nasproxy.distill import session
from nasproxy.distill.datadam import DataDAM
from nasproxy.distill.pad import PAD
from nasproxy.distill.ranking import RankingTraining
from nasproxy.distill.session import distill
from nasproxy.errors import EvaluationError
from nasproxy.models.family import build_model
from nasproxy.progress import unwatched
from nasproxy.proxy.coreset import SELECTIONS
from nasproxy.proxy.store import load_proxy
from nasproxy.scores.named import SCORES, score_architecture
from nasproxy.search.objective import ProxyObjective
from nasproxy.training.apprentice import ExpertTraining, expert_path
from nasproxy.training.evaluate import measure, score
from nasproxy.training.expert import ExpertPlan
from nasproxy.training.fit import UNREAD_EPOCHS, fit
from nasproxy.training.network import TrainingSet, train_network

RECIPE = Recipe(epochs=3, batch_size=16)
ALL_CHANGES = Augmentation(
    rotate=20, scale=0.2, shift=0.1, brightness=0.3, contrast=0.4, cutout=0.3, flip=True,
    flip_vertical=True,
)  # fmt: skip


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedCuda]:
    with pretended_cuda(monkeypatch) as mode:
        yield mode


@pytest.fixture(scope="module")
def data(make_dataset) -> Dataset:
    return replace(make_dataset(), augmentation=DIGITS)


def training_set(data: Dataset, *, soft: bool = False) -> TrainingSet:
    labels = data.train.labels
    targets = torch.nn.functional.one_hot(labels, 3).float() * 0.7 + 0.1 if soft else labels
    return TrainingSet(data.train.images, targets, 3, data.augmentation)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """The fused update rounds otherwise; all else is the same arithmetic."""
    torch.testing.assert_close(found.detach().cpu(), expected.detach(), atol=2e-4, rtol=1e-3)


class TestThePretence:
    def test_numbers_and_devices(self, cuda):
        one = torch.arange(3.0).to(CUDA)
        assert (one.device, one.is_cuda, (one * 2).device) == (CUDA, True, CUDA)
        assert torch.zeros(2, device=CUDA).device == CUDA
        assert (one * 2).cpu().tolist() == [0, 2, 4]
        assert (one.cpu().device.type, one.new_tensor(1.0).device) == ("cpu", CUDA)

    @pytest.mark.parametrize(
        "mix",
        [
            lambda here, there: here + there,
            lambda here, there: torch.cat([there, here]),
            lambda here, there: here[there.long()],
            lambda here, there: there.index_add(0, torch.arange(3), there),
            lambda here, there: torch.where(there > 0, there, here),
            lambda here, there: torch.rand(3, generator=torch.Generator(), device=CUDA),
        ],
    )
    def test_what_a_gpu_refuses(self, cuda, mix):
        with pytest.raises(RuntimeError, match="cuda"):
            mix(torch.arange(3.0), torch.arange(3.0).to(CUDA))

    def test_what_numpy_refuses(self, cuda):
        with pytest.raises((TypeError, RuntimeError)):
            torch.arange(3.0).to(CUDA).numpy()

    def test_waits_and_uploads_are_counted(self, cuda):
        there = torch.arange(3.0).to(CUDA)
        assert (cuda.waits, len(cuda.uploads)) == ([], 1)
        assert there.sum().item() == 3
        assert there[there > 0].shape == (2,)
        there.cpu()
        there.copy_(torch.zeros(3))
        assert (len(cuda.waits), len(cuda.uploads)) == (3, 2)


@pytest.mark.parametrize(
    ("architecture", "soft"),
    [
        ({"depth": 2, "width": 4, "norm": "batch"}, False),
        ({"depth": 1, "width": 4, "norm": "instance", "pooling": "max"}, True),
        ({"family": "mlp", "hidden": [8]}, False),
    ],
)
def test_a_training_ends_as_on_the_cpu(data, cuda, architecture, soft):
    there = data.to(CUDA)
    networks = [
        train_network(
            architecture, training_set(one, soft=soft), RECIPE, 0, calibration=one.train.images
        )
        for one in (data, there)
    ]
    for name, value in networks[0].state_dict().items():
        close(networks[1].state_dict()[name], value)
    assert score(networks[1], there.validation) == pytest.approx(
        score(networks[0], data.validation), abs=1e-3
    )
    assert measure(networks[1], there.validation) == pytest.approx(
        measure(networks[0], data.validation), abs=1e-3
    )


@pytest.mark.parametrize("augmentation", [Augmentation(), DIGITS, ALL_CHANGES])
def test_steps_wait_for_nothing(data, cuda, augmentation):
    """36 images in batches of 16 for 22 epochs are 66 steps: two blocks of draws."""
    there = data.to(CUDA)
    architecture = {"family": "mlp", "hidden": [4]}
    model = build_model(architecture, (1, 8, 8), 3, named_generator(0)).to(CUDA)
    recipe = RECIPE.replace(epochs=22)
    cuda.waits.clear()
    cuda.uploads.clear()
    for log in fit(
        model,
        there.train.images,
        there.train.labels,
        recipe,
        augmentation=augmentation,
        generator=named_generator(0, "batches"),
    ):
        if log.epoch == UNREAD_EPOCHS - 1:
            assert len(cuda.waits) <= 1  # SGD looks at its learning rate when it is made
    assert len(cuda.waits) == 1 + 2  # and the losses of 20 and of 2 epochs are read
    # the rate, and of each block the indices, and the numbers of the changes
    assert len(cuda.uploads) == 1 + 2 * (1 if augmentation == Augmentation() else 2)


def test_divergence_is_found_some_epochs_later_and_dated_right(data, cuda):
    there, seen = data.to(CUDA), []
    recipe = RECIPE.replace(epochs=6, lr=1e30)
    with pytest.raises(EvaluationError, match=r"diverged: training loss (nan|inf) in epoch [12]$"):
        train_network(
            {"family": "mlp", "hidden": [4]}, training_set(there), recipe, 0,
            after_epoch=lambda model, log: seen.append(log.epoch),
        )  # fmt: skip
    assert seen == [1, 2, 3, 4, 5]


def test_works_of_the_engines(data, cuda, tmp_path):
    """What candidates, early stopping, experts and the ranking do with one network."""
    architecture = {"depth": 1, "width": 4, "norm": "batch"}
    plan = ExpertPlan(architecture=architecture, recipe=RECIPE, num_periods=2, num_snapshots=2)
    recipe, results = RECIPE.replace(epochs=2), []
    for number, one in enumerate((data, data.to(CUDA))):
        own, few = training_set(one), one.train.images[:10]
        parts = {"data": own, "validation": one.validation, "calibration": few, "recipe": recipe}
        candidate = ProxyObjective(
            **parts, seeds=1, seed=0, metric="accuracy", watched=one.validation
        )
        early = EarlyTraining(**parts, sizes=(16, 16), num_steps=5, seed=0)
        folder = tmp_path / str(number)
        folder.mkdir()
        expert = ExpertTraining(own, one.validation, plan, folder, 0)(0, lambda *_: None)
        for difficulty in ("el2n", "gradient", "forgetting"):
            ranks = RankingTraining(own, architecture, recipe, difficulty, 0)(0, lambda *_: None)
        results.append(
            {
                "candidate": candidate(architecture, lambda *_: None).scores[0].accuracy,
                "early": early((architecture, 0, 0), lambda *_: None)["loss"],
                "expert": expert["validation_accuracy"],
                "ranks": float(ranks.sum()),
                "size": expert_path(folder, 0).stat().st_size,
            }
        )
    assert results[1] == pytest.approx(results[0], abs=1e-3)


DATADAM = DataDAMConfig(ipc=2, iterations=4, depth=2, width=4, real_batch=5)
NETWORKS = (
    {"family": "convnet", "depth": 1, "width": 4, "norm": "batch"},
    {"family": "convnet", "depth": 2, "width": 4},
)


@pytest.mark.parametrize("config", [DATADAM, DATADAM.replace(networks=NETWORKS, init="noise")])
def test_datadam_waits_once_an_iteration(data, cuda, config):
    distiller = DataDAM(config)
    expected = list(distiller.steps(data, distiller.start(data)))
    there = data.to(CUDA)
    start = distiller.start(there)
    cuda.waits.clear()
    found, waits = [], []
    for step in distiller.steps(there, start):
        found.append(step)
        waits.append(len(cuda.waits))
    # before the first one, the real images are sorted by class
    assert [after - before for before, after in pairwise(waits)] == [1, 1, 1]
    close(found[-1].state.images, expected[-1].state.images)
    assert found[-1].losses == pytest.approx(expected[-1].losses, rel=1e-3)


def test_a_whole_distillation(data, cuda, tmp_path, monkeypatch):
    """From the first image to files and pictures."""
    monkeypatch.setattr(session, "CHECK_RECIPE", RECIPE)
    proxies = [
        distill(one, DATADAM.replace(num_checks=1), tmp_path / one.train.labels.device.type)
        for one in (data, data.to(CUDA))
    ]
    close(proxies[1].images, proxies[0].images)
    close(load_proxy(tmp_path / "cuda", CUDA).images, proxies[0].images)


@pytest.mark.parametrize("changes", [{}, {"mask": "loss", "clip": None, "soft_labels": False}])
def test_pad(data, cuda, tmp_path_factory, changes):
    config = PADConfig(
        ipc=2, iterations=3, experts=1, expert_batch=8, expert_lr=0.1, filter_samples=False,
        first_max_start=1, max_start=2, match_distance=1, student_steps=3, depth=1, width=4,
        image_lr=1.0, label_lr=1.0, step_size=0.1, step_lr=1e-4, num_checks=1,
    ).replace(**changes)  # fmt: skip
    distiller = PAD(config)
    folder = tmp_path_factory.mktemp("experts")
    distiller.prepare(data, folder, workers=1, watch=unwatched)  # on the CPU
    ends = [list(distiller.steps(one, distiller.start(one)))[-1] for one in (data, data.to(CUDA))]
    close(ends[1].state.images, ends[0].state.images)
    for name, value in ends[0].state.extra.items():
        close(ends[1].state.extra[name], value)
    assert ends[1].losses == pytest.approx(ends[0].losses, rel=1e-3)


@pytest.mark.parametrize("kind", SELECTIONS)
def test_selections_of_real_images(data, cuda, kind):
    there = SELECTIONS[kind](data.to(CUDA).train, 3, 0)
    here = SELECTIONS[kind](data.train, 3, 0)
    assert torch.equal(there.images.cpu(), here.images)
    assert torch.equal(there.labels.cpu(), here.labels)


@pytest.mark.parametrize("name", [name for name in SCORES if name not in ("params", "flops")])
def test_training_free_scores(data, cuda, name):
    architecture = {"depth": 2, "width": 4, "norm": "batch"}
    found, expected = (
        score_architecture(name, architecture, one.train, 3, 0)[0] for one in (data.to(CUDA), data)
    )
    assert found == pytest.approx(expected, rel=1e-4)
