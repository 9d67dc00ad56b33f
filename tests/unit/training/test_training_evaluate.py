from __future__ import annotations

import pytest
import torch
from sklearn import metrics
from torch import nn

from nasproxy.data.dataset import LabelledImages
from nasproxy.errors import EvaluationError
from nasproxy.training.evaluate import accuracy, count_classes, predict, score


def logits_as_images(num: int, classes: int, seed: int = 0) -> LabelledImages:
    """Images that nn.Flatten turns into logits, some of them tied."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(num, classes, generator=generator).mul(2).round()
    labels = torch.randint(classes, (num,), generator=generator)
    return LabelledImages(logits[:, :, None, None], labels)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_scores_are_sklearns(classes):
    data = logits_as_images(700, classes)  # more than one batch
    chosen = data.images.flatten(1).argmax(1)
    found = score(nn.Flatten(), data)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(data.labels, chosen))
    assert found.accuracy == accuracy(nn.Flatten(), data)
    balanced = metrics.balanced_accuracy_score(data.labels, chosen)
    assert found.balanced_accuracy == pytest.approx(balanced)
    if classes > 2:
        assert found.auc is None
    else:
        probabilities = data.images.flatten(1).double().softmax(1)[:, 1]
        assert found.auc == pytest.approx(metrics.roc_auc_score(data.labels, probabilities))


def as_images(logits: list[list[float]], labels: list[int]) -> LabelledImages:
    return LabelledImages(torch.tensor(logits)[:, :, None, None], torch.tensor(labels))


def test_four_images_by_hand():
    data = as_images([[0, 2], [1, 0], [0, 1], [0, 1]], [1, 0, 0, 0])
    # one of three zeros and the one are right; above 2 zeros of 3, no tie
    assert score(nn.Flatten(), data) == pytest.approx((2 / 4, (1 / 3 + 1) / 2, 1.0))
    tied = as_images([[0, 1], [1, 0], [0, 1], [0, 1]], [1, 0, 0, 0])
    assert score(nn.Flatten(), tied).auc == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_no_auc_where_one_class_occurs():
    assert score(nn.Flatten(), as_images([[2.0, 1]] * 3, [0, 0, 0])) == (1.0, 1.0, None)


def test_balanced_over_the_classes_that_occur():
    """A network may name a class that no image has: sklearn warns of it, this does not."""
    data = as_images([[3.0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]], [0, 0, 0, 2])
    found = score(nn.Flatten(), data)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    with pytest.warns(UserWarning, match="not in y_true"):
        theirs = metrics.balanced_accuracy_score([0, 0, 0, 2], [0, 0, 1, 2])
    assert found.balanced_accuracy == pytest.approx(theirs)


def test_the_difference_of_logits_is_not_rounded_into_ties():
    data = as_images([[-1e8, 1.0], [-1e8, 2.0]], [0, 1])
    assert score(nn.Flatten(), data).auc == 1.0


def test_classes_are_counted_though_one_has_no_image():
    assert count_classes(as_images([[0.0]] * 3, [0, 2, 2]), 4) == [1, 0, 2, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("measure", [accuracy, score])
def test_outputs_that_are_not_finite(measure, value):
    data = logits_as_images(20, 3)
    data.images[7, 1] = value
    with pytest.raises(EvaluationError, match=r"diverged.*not finite"):
        measure(nn.Flatten(), data)


def test_prediction_is_in_evaluation_mode_and_in_order():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5)).train()
    data = logits_as_images(30, 4)
    assert torch.equal(predict(model, data.images, batch_size=7), data.images.flatten(1))
