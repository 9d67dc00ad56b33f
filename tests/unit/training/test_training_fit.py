from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasproxy._random import named_generator
from nasproxy.config import DIGITS, Augmentation, Recipe
from nasproxy.errors import EvaluationError
from nasproxy.models.family import build_model
from nasproxy.training.fit import decay, fit

RECIPE = Recipe(epochs=4, batch_size=16, lr=0.05)


@pytest.fixture
def data(make_dataset):
    return make_dataset().train


def run(data, recipe=RECIPE, *, targets=None, augmentation=None, seed=0, norm="instance"):
    model = build_model({"depth": 1, "width": 4, "norm": norm}, (1, 8, 8), 3, named_generator(0))
    logs = fit(
        model,
        data.images,
        data.labels if targets is None else targets,
        recipe,
        augmentation=augmentation or Augmentation(),
        generator=named_generator(seed, "batches"),
    )
    losses = list(logs)
    return model, losses


def weights(model):
    return nn.utils.parameters_to_vector(model.parameters())


def test_the_loss_goes_down_epoch_by_epoch(data):
    _, logs = run(data)
    assert [log.epoch for log in logs] == [1, 2, 3, 4]
    losses = [log.loss for log in logs]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
def test_the_same_seed_is_bit_identical_and_another_is_not(data, norm):
    torch.manual_seed(0)
    one = weights(run(data, augmentation=DIGITS, norm=norm)[0])
    torch.manual_seed(1)
    two = weights(run(data, augmentation=DIGITS, norm=norm)[0])
    assert torch.equal(one, two)
    assert not torch.equal(one, weights(run(data, augmentation=DIGITS, norm=norm, seed=1)[0]))


def test_augmentation_only_where_the_recipe_says_so(data):
    plain = weights(run(data)[0])
    assert not torch.equal(plain, weights(run(data, augmentation=DIGITS)[0]))
    none = RECIPE.replace(augmentation="none")
    assert torch.equal(
        weights(run(data, none)[0]), weights(run(data, none, augmentation=DIGITS)[0])
    )


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("cosine", {0: 1, 0.25: 0.5 + math.sqrt(2) / 4, 0.5: 0.5, 0.999: 2.5e-6}),
        ("drop", {0: 1, 0.499: 1, 0.5: 0.1, 0.99: 0.1}),
        ("constant", {0: 1, 0.5: 1, 0.99: 1}),
    ],
)
def test_decay(schedule, values):
    recipe = Recipe(schedule=schedule)
    for done, expected in values.items():
        assert decay(recipe, done) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("schedule", ["cosine", "drop", "constant"])
def test_it_is_sgd_with_torchs_own_scheduler(data, schedule):
    """One batch an epoch, so that the order of images does not matter."""
    recipe = Recipe(epochs=6, batch_size=36, lr=0.1, schedule=schedule)
    found = run(data, recipe)[0]
    model = build_model({"depth": 1, "width": 4}, (1, 8, 8), 3, named_generator(0))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=5e-4)
    scheduler = {
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6),
        "drop": lambda: torch.optim.lr_scheduler.MultiStepLR(optimizer, [3], 0.1),
        "constant": lambda: torch.optim.lr_scheduler.ConstantLR(optimizer, 1),
    }[schedule]()
    for _ in range(6):
        optimizer.zero_grad()
        F.cross_entropy(model(data.images), data.labels).backward()
        optimizer.step()
        scheduler.step()
    torch.testing.assert_close(weights(found), weights(model), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("fault", ["image", "lr"])
def test_divergence_is_an_evaluation_error(data, fault):
    if fault == "image":
        data.images[0, 0, 0, 0] = float("nan")
    recipe = RECIPE.replace(lr=1e30) if fault == "lr" else RECIPE
    with pytest.raises(EvaluationError, match=r"diverged: training loss (nan|inf) in epoch \d"):
        run(data, recipe, norm="none")


def test_one_hot_probabilities_train_as_labels_do(data):
    hard, hard_logs = run(data)
    soft, soft_logs = run(data, targets=F.one_hot(data.labels, 3).float())
    torch.testing.assert_close(weights(hard), weights(soft))
    torch.testing.assert_close([log.loss for log in hard_logs], [log.loss for log in soft_logs])


def test_the_mean_loss_is_over_images_not_batches(data):
    """lr so small that nothing moves; 36 images in batches of 16, 16 and 4."""
    model, logs = run(data, RECIPE.replace(lr=1e-30, epochs=1))
    expected = F.cross_entropy(model(data.images), data.labels).item()
    assert logs[0].loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("steps", "seen"),
    [(1, [16]), (3, [16, 16, 4]), (5, [16, 16, 4, 16, 16]), (11, [32, 20, 20, 32, 20, 16])],
)
def test_steps_end_a_training_in_the_middle_of_an_epoch(data, steps, seen):
    """36 images in batches of 16, 16 and 4; looked at after tenths of the steps, rounded up."""
    _, logs = run(data, RECIPE.replace(epochs=9, steps=steps))
    assert [log.epoch for log in logs] == list(range(1, len(seen) + 1))
    assert [log.num_images for log in logs] == seen
    assert all(0 < log.loss < 3 for log in logs)


def test_as_many_steps_as_the_epochs_have_are_the_same_training(data):
    recipe = RECIPE.replace(epochs=3)
    assert recipe.num_steps(36) == 9
    stopped = weights(run(data, RECIPE.replace(epochs=1, steps=9), augmentation=DIGITS)[0])
    assert torch.equal(stopped, weights(run(data, recipe, augmentation=DIGITS)[0]))
