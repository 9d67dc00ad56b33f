from __future__ import annotations

import pytest
import torch
from sklearn import metrics
from torch import nn

from nasproxy.data.dataset import LabelledImages
from nasproxy.errors import EvaluationError
from nasproxy.training.evaluate import accuracy, predict, score


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
    recalls = metrics.recall_score(data.labels, chosen, average="macro")
    assert found.balanced_accuracy == pytest.approx(recalls)
    if classes > 2:
        assert found.auc is None
    else:
        probabilities = data.images.flatten(1).double().softmax(1)[:, 1]
        assert found.auc == pytest.approx(metrics.roc_auc_score(data.labels, probabilities))


@pytest.mark.filterwarnings("ignore:A single label")  # sklearn on such a test split
def test_no_auc_where_one_class_occurs():
    data = LabelledImages(torch.tensor([[2.0, 1]] * 3)[:, :, None, None], torch.zeros(3).long())
    assert score(nn.Flatten(), data).auc is None


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
