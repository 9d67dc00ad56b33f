from __future__ import annotations

import pytest
import torch

from nasproxy.data.dataset import LabelledImages
from nasproxy.errors import ConfigError
from nasproxy.proxy.coreset import (
    SELECTIONS,
    check_ipc,
    choose_herding,
    choose_k_center,
    make_baseline,
)


def rows(images: torch.Tensor) -> list[bytes]:
    return [row.tobytes() for row in images.numpy()]


@pytest.mark.parametrize("kind", list(SELECTIONS))
@pytest.mark.parametrize("ipc", [1, 4])
def test_real_images_as_many_of_each_class(digits, kind, ipc):
    proxy = make_baseline(digits, kind, ipc, 0)
    assert proxy.labels.tolist() == [label for label in range(10) for _ in range(ipc)]
    real = dict(zip(rows(digits.train.images), digits.train.labels.tolist(), strict=True))
    assert [real[row] for row in rows(proxy.images)] == proxy.labels.tolist()
    assert len(set(rows(proxy.images))) == 10 * ipc
    assert torch.equal(proxy.images, make_baseline(digits, kind, ipc, 0).images)
    assert (proxy.manifest.kind, proxy.manifest.ipc) == (kind, ipc)
    same = torch.equal(proxy.images, make_baseline(digits, kind, ipc, 1).images)
    assert same == (kind != "random")  # the others leave nothing to chance


def test_k_center_by_hand():
    # class 0: mean 4.8, nearest 2; farthest from it 11; then 0 (2 away, 1 and 10 are 1 away)
    # class 1: mean 0, nearest 0; then 5 (|-4| is less); then -4
    points = torch.tensor([0.0, 1, 2, 10, 11, 5, -4, 0, -1])
    data = LabelledImages(points.view(-1, 1, 1, 1), torch.tensor([0] * 5 + [1] * 4))
    chosen = choose_k_center(data, 3, seed=0)
    assert chosen.images.flatten().tolist() == [2, 11, 0, 0, 5, -4]
    assert chosen.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_herding_by_hand():
    # class 0: mean 4.8; 2 is nearest, then 10 for a mean of 6 (with 11 it is 6.5), then 1 for 4.33
    # (with 0 it is 4), not 2 again (4.67); class 1: mean 0: 0, then -1 (-0.5), then 5 (1.33, with
    # -4 -1.67)
    points = torch.tensor([0.0, 1, 2, 10, 11, 5, -4, 0, -1])
    data = LabelledImages(points.view(-1, 1, 1, 1), torch.tensor([0] * 5 + [1] * 4))
    chosen = choose_herding(data, 3, seed=0)
    assert chosen.images.flatten().tolist() == [2, 10, 1, 0, -1, 5]
    assert chosen.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_herding_each_choice_is_the_best_by_trying_all(digits):
    chosen = choose_herding(digits.train, 5, seed=0).images.flatten(1)
    for label in range(10):
        members = digits.train.images[digits.train.labels == label].flatten(1)
        mine = chosen[label * 5 : label * 5 + 5]
        for k in range(5):
            rest = [x for x in members if not any(torch.equal(x, y) for y in mine[:k])]
            means = [(torch.stack([*mine[:k], x]).mean(0) - members.mean(0)).norm() for x in rest]
            best = rest[int(torch.stack(means).argmin())]
            assert torch.equal(best, mine[k])


def test_all_of_a_class_can_be_chosen(make_dataset):
    data = make_dataset((3, 5))
    for kind in SELECTIONS:
        assert len(set(rows(make_baseline(data, kind, 3, 0).images))) == 6


def test_full_is_the_training_split(digits):
    proxy = make_baseline(digits, "full", None, 0)
    assert torch.equal(proxy.images, digits.train.images)
    assert proxy.manifest.ipc is None


def test_ipc_larger_than_the_smallest_class(make_dataset):
    data = make_dataset((5, 3, 4))
    check_ipc(data, 3)
    with pytest.raises(
        ConfigError,
        match=r"ipc 4 is more than class 'class 1' has to give \(3 training images\): use --ipc 3",
    ):
        make_baseline(data, "random", 4, 0)
    with pytest.raises(ConfigError, match="ipc must be >= 1, got 0"):
        make_baseline(data, "random", 0, 0)


@pytest.mark.parametrize(
    ("kind", "ipc", "message"),
    [
        ("random", None, r"images per class \(--ipc\)"),
        ("synthetic", 1, "'synthetic'.*full, herding, kcenter, random"),
    ],
)
def test_other_misuse(digits, kind, ipc, message):
    with pytest.raises(ConfigError, match=message):
        make_baseline(digits, kind, ipc, 0)
