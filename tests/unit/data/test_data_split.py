from __future__ import annotations

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.data.split import stratified_split, stratified_subset

LABELS = torch.tensor([0] * 20 + [1] * 10 + [2] * 5 + [4])[torch.randperm(36)]


def test_split_is_disjoint_stratified_and_stable():
    first, second = stratified_split(LABELS, 0.2, named_generator(1, "x"))
    assert sorted(first.tolist() + second.tolist()) == list(range(36))
    assert torch.equal(first, first.sort().values)
    assert torch.equal(second, second.sort().values)
    # a fifth of 20, 10 and 5; the class of one stays whole
    assert torch.bincount(LABELS[second], minlength=5).tolist() == [4, 2, 1, 0, 0]
    again = stratified_split(LABELS, 0.2, named_generator(1, "x"))
    assert torch.equal(second, again[1])
    other = stratified_split(LABELS, 0.2, named_generator(2, "x"))
    assert not torch.equal(second, other[1])


def test_both_parts_of_a_class_of_two_get_one():
    labels = torch.tensor([0, 0, 1, 1])
    for fraction in (0.01, 0.89):
        first, second = stratified_split(labels, fraction, named_generator(0))
        assert labels[first].tolist() == labels[second].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        (36, [20, 10, 5, 0, 1]),
        (99, [20, 10, 5, 0, 1]),
        (18, [10, 5, 2, 0, 1]),
        (1, [1, 1, 1, 0, 1]),
    ],
)
def test_subset_keeps_proportions(size, counts):
    chosen = stratified_subset(LABELS, size, named_generator(0))
    assert len(chosen.unique()) == len(chosen)
    assert torch.equal(chosen, chosen.sort().values)
    assert torch.bincount(LABELS[chosen], minlength=5).tolist() == counts
