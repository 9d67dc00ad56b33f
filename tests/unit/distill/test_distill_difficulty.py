from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import rankdata

from nasproxy.config import PADConfig
from nasproxy.distill.difficulty import (
    Curriculum,
    build_curriculum,
    el2n,
    forgetting,
    gradient_norm,
    rank_in_class,
)


def test_el2n_by_hand():
    # probabilities (0.5, 0.25, 0.25), (1/3, 1/3, 1/3) and (1, 0, 0) twice
    logits = torch.tensor([[2.0, 1, 1], [0, 0, 0], [1e9, 0, 0], [1e9, 0, 0]])
    logits[0] = torch.tensor([0.5, 0.25, 0.25]).log()
    labels = torch.tensor([0, 2, 0, 1])
    expected = [math.sqrt(0.25 + 2 / 16), math.sqrt(2 / 9 + 4 / 9), 0, math.sqrt(2)]
    torch.testing.assert_close(el2n(logits, labels), torch.tensor(expected))


def test_gradient_norm_is_autograds_for_the_last_layer():
    layer = torch.nn.Linear(5, 3)
    embedding, labels = torch.randn(4, 5), torch.tensor([0, 2, 1, 1])
    found = gradient_norm(layer(embedding).detach(), embedding, labels)
    for row, label, norm in zip(embedding, labels, found, strict=True):
        loss = F.cross_entropy(layer(row[None]), label[None])
        gradients = torch.autograd.grad(loss, [layer.weight, layer.bias])
        expected = torch.cat([g.flatten() for g in gradients]).norm()
        torch.testing.assert_close(norm, expected)


def test_forgetting_by_hand():
    histories = {"1111": 0, "0111": 0, "1010": 2, "1100": 1, "0101": 1, "0000": 4, "1011": 1}
    correct = torch.tensor([[c == "1" for c in text] for text in histories]).T
    assert forgetting(correct).tolist() == list(histories.values())


def test_ranks_are_scipys_class_by_class():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (200,), generator=generator)
    scores = torch.randint(9, (200,), generator=generator).float()  # with ties
    ranks, sizes = rank_in_class(scores, labels)
    for label in range(4):
        members = labels == label
        expected = rankdata(scores[members].numpy(), method="ordinal") - 1
        assert ranks[members].tolist() == expected.tolist()
        assert set(sizes[members].tolist()) == {int(members.sum())}


SIZES = (8, 3, 1)
SCHEDULE = {
    # period: number in use of classes of 8, 3 and 1; 75% + 5% a period until 5
    0: [(0, 6), (0, 3), (0, 1)],  # 6 and 2.25, 0.75: a part of an image is an image
    1: [(0, 7), (0, 3), (0, 1)],  # 80%: 6.4, 2.4
    2: [(0, 7), (0, 3), (0, 1)],  # 85%: 6.8
    3: [(0, 8), (0, 3), (0, 1)],  # 90%: 7.2
    5: [(0, 8), (0, 3), (0, 1)],
    6: [(1, 8), (0, 3), (0, 1)],  # 20% dropped: 1.6, 0.6: only whole images are
    7: [(4, 8), (1, 3), (0, 1)],  # 50%: 4, 1.5, 0.5
    99: [(4, 8), (1, 3), (0, 1)],
}


@pytest.mark.parametrize("period", SCHEDULE)
def test_schedule_against_a_table_worked_by_hand(period):
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(SIZES))
    scores = torch.arange(12).float().flip(0)  # within each class the last image is the easiest
    ranks, sizes = rank_in_class(scores, labels)
    curriculum = Curriculum(ranks, sizes, 0.75, 5, ((7, 0.5), (6, 0.2)))
    expected = []
    first = 0
    for size, (low, high) in zip(SIZES, SCHEDULE[period], strict=True):
        expected += sorted(first + size - 1 - rank for rank in range(low, high))
        first += size
    assert curriculum(period).tolist() == expected


def test_no_adding_and_no_dropping():
    ranks, sizes = rank_in_class(torch.rand(10), torch.zeros(10).long())
    assert Curriculum(ranks, sizes, 0.3, 0, ())(0).tolist() == list(range(10))


def test_no_class_is_ever_empty():
    generator = torch.Generator().manual_seed(0)
    labels = torch.repeat_interleave(torch.arange(6), torch.tensor([1, 2, 3, 7, 20, 100]))
    scores = torch.rand(len(labels), generator=generator)
    config = PADConfig(easy_fraction=0.31, add_until=3, drop=((0, 0.3), (2, 0.2)))
    curriculum = build_curriculum(scores, labels, config)
    for period in range(5):
        assert labels[curriculum(period)].unique().tolist() == list(range(6))
