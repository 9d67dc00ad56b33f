from __future__ import annotations

from typing import Any

import pytest

from nasproxy.study.headline import compared_network, write_headline


def row(data: str, accuracy: float, kind: str = "study", **more: Any) -> dict[str, Any]:
    epochs = {"study": 20, "standard": 1000, "cross": 100}[kind]
    return {
        "data": data, "kind": kind, "model": "convnet-3", "width": 32, "epochs": epochs,
        "num_seeds": 5, "accuracy_mean": accuracy, **more,
    }  # fmt: skip


def headline(*rows: dict[str, Any]) -> str:
    return write_headline({"networks": list(rows)})


def two_classes(accuracy: float, balanced: float, auc: float) -> dict[str, Any]:
    return {
        "accuracy": accuracy, "balanced_accuracy_mean": balanced, "auc_mean": auc,
        "test_class_counts": [643, 357],
    }  # fmt: skip


def test_proxies_are_compared_with_full_data_by_its_protocol_and_width():
    text = headline(
        row("full", 0.995, num_seeds=2),
        row("datadam-real", 0.871),
        row("datadam-real", 0.926, width=128),
        row("datadam-real", 0.968, "standard"),
        row("pad", 0.865),
        row("pad", 0.97, "standard"),
        row("pad", 0.975, "standard", width=128),
        row("pad", 0.99, "cross", model="alexnet", width=None),
    )
    assert text == (
        "convnet-3 of width 32, on test: by the study protocol (20 epochs) the best of 2 proxies "
        "is datadam-real with 87.10% (5 trainings), all images give 99.50% (2 trainings); by the "
        "standard protocol (1000 epochs) the best of 2 proxies is pad with 97.00% (5 trainings), "
        "without a training on all images to compare with."
    )


def test_where_classes_are_unbalanced_the_balanced_accuracy_decides():
    text = headline(
        row("full", **two_classes(0.92, 0.91, 0.97)),
        row("random", **two_classes(0.78, 0.817, 0.914)),
        row("pad", **two_classes(0.788, 0.732, 0.878)),
    )
    assert text == (
        "convnet-3 of width 32, on test: by the study protocol (20 epochs) the best of 2 proxies "
        "by balanced accuracy is random with accuracy 78.00%, balanced 81.70%, AUC 91.40% (5 "
        "trainings), all images give accuracy 92.00%, balanced 91.00%, AUC 97.00% (5 trainings)."
    )


def test_full_data_at_the_majority_rate_says_nothing_of_proxies():
    text = headline(
        row("full", **two_classes(0.643, 0.5, 0.705)),
        row("pad", **two_classes(0.643, 0.5, 0.515)),
        row("random", **two_classes(0.557, 0.518, 0.53)),
        row("random", kind="standard", **two_classes(0.78, 0.817, 0.914)),
    )
    assert (
        "all images give accuracy 64.30%, balanced 50.00%, AUC 70.50% (5 trainings), no more than "
        "naming the largest class always (64.3%), so nothing follows for proxies; by the standard "
        "protocol (1000 epochs) the only proxy is random with accuracy 78.00%, balanced 81.70%, "
        "AUC 91.40% (5 trainings), without a training on all images to compare with."
    ) in text


def test_a_low_accuracy_that_tells_the_classes_apart_is_not_the_majority_rate():
    text = headline(
        row("full", **two_classes(0.64, 0.7, 0.8)), row("pad", **two_classes(0.6, 0.6, 0.6))
    )
    assert "nothing follows" not in text


@pytest.mark.parametrize("full", [(), (row("full", 0.995),)], ids=["none", "another width"])
def test_without_a_like_for_like_comparison_there_is_none(full):
    text = headline(*full, row("pad", 0.922, width=128), row("random", 0.95, "standard", width=128))
    assert text == (
        "convnet-3 of width 128, on test: by the study protocol (20 epochs) the only proxy is pad "
        "with 92.20% (5 trainings), without a training on all images to compare with; by the "
        "standard protocol (1000 epochs) the only proxy is random with 95.00% (5 trainings), "
        "without a training on all images to compare with."
    )


def test_one_training_and_a_network_of_its_own_width():
    text = headline(row("pad", 0.9, width=None, model="mlp", num_seeds=1))
    assert text.startswith("mlp, on test: by the study protocol (20 epochs)")
    assert "(1 training)" in text


@pytest.mark.parametrize(
    "rows", [(), (row("full", 0.995),), (row("pad", 0.9, "cross", model="alexnet", width=None),)]
)
def test_without_proxies(rows):
    assert headline(*rows) == "No proxy was evaluated yet."


def test_the_network_is_that_of_full_data_where_a_proxy_trained_it():
    small, large = row("pad", 0.9), row("pad", 0.9, width=128)
    assert compared_network([row("full", 0.9), large, small]) == ("convnet-3", 32)
    assert compared_network([row("full", 0.9), large]) == ("convnet-3", 128)
    assert compared_network([row("full", 0.9)]) == ("convnet-3", 32)
    assert compared_network([]) is None
