from __future__ import annotations

import pytest
import torch

from nasproxy._random import named_generator
from nasproxy.data.split import divide, grouped_split, stratified_split, stratified_subset
from nasproxy.errors import DataError, DataWarning

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


def groups_of(sizes) -> tuple[torch.Tensor, list[str]]:
    """Labels and groups: each group is a list of its images' labels."""
    labels = [label for members in sizes for label in members]
    names = [f"g{index:03d}" for index, members in enumerate(sizes) for _ in members]
    return torch.tensor(labels), names


def check(labels, groups, first, second) -> None:
    assert sorted(first.tolist() + second.tolist()) == list(range(len(labels)))
    assert torch.equal(first, first.sort().values)
    assert torch.equal(second, second.sort().values)
    assert not {groups[i] for i in first} & {groups[i] for i in second}
    assert len(first) > 0
    assert len(second) > 0


def test_without_groups_the_split_is_the_stratified_one():
    expected = stratified_split(LABELS, 0.2, named_generator(7, "purpose"))
    found = divide(LABELS, None, 0.2, seed=7, purpose="purpose")
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other)


def test_groups_stay_whole_and_classes_keep_their_shares():
    labels, groups = groups_of([[0] * 3, [1] * 3] * 20 + [[0, 1]] * 10)
    first, second = divide(labels, groups, 0.2, seed=1, purpose="x")
    check(labels, groups, first, second)
    assert abs(len(second) / len(labels) - 0.2) < 0.03
    shares = torch.bincount(labels[second]) / torch.bincount(labels)
    assert (shares - 0.2).abs().max() < 0.06


def test_seeds_and_purposes_give_other_groups():
    labels, groups = groups_of([[0, 1]] * 40)
    settings = [(0, "a"), (1, "a"), (0, "b"), (2**62, "a"), (0, "a")]
    found = [divide(labels, groups, 0.25, seed=s, purpose=p)[1].tolist() for s, p in settings]
    assert found[0] == found[4]
    assert len({tuple(second) for second in found}) == 4


def test_the_order_of_images_does_not_matter():
    labels, groups = groups_of([[0, 1, 1], [0], [1, 0]] * 10)
    _, second = grouped_split(labels, groups, 0.2, 3)
    chosen = {groups[index] for index in second}
    for seed in range(3):
        order = torch.randperm(len(labels), generator=named_generator(seed))
        _, second = grouped_split(labels[order], [groups[i] for i in order], 0.2, 3)
        assert {groups[order[index]] for index in second} == chosen


def test_small_classes_in_many_groups():
    """Fewer images of each class than folds."""
    labels, groups = groups_of([[label] for label in (0, 1, 2)] * 10)
    first, second = grouped_split(labels, groups, 0.2, 0)
    check(labels, groups, first, second)
    assert torch.bincount(labels[second]).tolist() == [2, 2, 2]


@pytest.mark.parametrize("seed", range(5))
def test_one_large_group_does_not_become_the_second_part(seed):
    """One patient with nine images of ten: the fraction stays about what was asked for."""
    labels, groups = groups_of([[0] * 120 + [1] * 60] + [[0, 1]] * 10)
    first, second = grouped_split(labels, groups, 0.1, seed)
    check(labels, groups, first, second)
    assert len(second) <= 20


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3, 0.5, 0.89])
def test_the_fraction_is_about_what_was_asked_for(fraction):
    draw = torch.Generator().manual_seed(0)
    sizes = torch.randint(1, 9, (200,), generator=draw).tolist()
    labels, groups = groups_of([[index % 3] * size for index, size in enumerate(sizes)])
    first, second = grouped_split(labels, groups, fraction, 0)
    check(labels, groups, first, second)
    assert abs(len(second) / len(labels) - fraction) < 0.04


def test_both_sides_hold_every_class_where_that_can_be():
    """Two patients alone have the rare class."""
    for seed in range(5):
        labels, groups = groups_of([[0, 0, 0]] * 30 + [[1, 0]] * 2)
        first, second = grouped_split(labels, groups, 0.1, seed)
        assert labels[first].unique().tolist() == labels[second].unique().tolist() == [0, 1]


def test_a_class_of_one_group_is_told():
    labels, groups = groups_of([[0, 0]] * 10 + [[1] * 5])
    with pytest.warns(DataWarning, match="no split with every class on both sides"):
        first, second = grouped_split(labels, groups, 0.2, 0)
    check(labels, groups, first, second)
    assert len(second) < len(first)


def test_two_groups():
    """The small one is split off."""
    for seed in range(4):
        labels, groups = groups_of([[0] * 12 + [1] * 6, [0, 1]])
        first, second = grouped_split(labels, groups, 0.1, seed)
        check(labels, groups, first, second)
        assert len(second) == 2


def test_one_group():
    labels, groups = groups_of([[0, 1, 1]])
    with pytest.raises(DataError, match=r"all images are of one group \(g000\).*another column"):
        divide(labels, groups, 0.1, seed=0, purpose="x")
