from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nasproxy.config import DataConfig
from nasproxy.data.dataset import load_dataset
from nasproxy.errors import ArtifactError
from nasproxy.proxy.coreset import make_baseline
from nasproxy.proxy.dataset import describe


def test_description_holds_what_made_it(digits):
    manifest = describe(
        digits, kind="synthetic", method="m", ipc=2, seed=7, config={"a": 1}, seconds=1.5
    )
    assert (manifest.num_classes, manifest.image_size) == (10, (8, 8))
    assert manifest.mean == digits.normalization.mean
    assert manifest.data_sha256 == digits.fingerprint
    assert manifest.config["a"] == 1
    assert manifest.config["data"]["dataset"] == "digits"


def test_the_machines_paths_stay_out_of_the_manifest(digits):
    data = replace(digits, config=DataConfig(dataset="digits", data_dir="/home/somebody"))
    assert "somebody" not in str(make_baseline(data, "random", 1, 0).manifest.to_dict())


def test_soft_labels_are_trained_on_where_there_are_any(random_proxy):
    assert torch.equal(random_proxy.training_set().targets, random_proxy.labels)
    soft = torch.rand(30, 10)
    assert replace(random_proxy, soft_labels=soft).training_set().targets is soft


def test_a_proxy_stands_in_for_its_own_data_only(digits, make_dataset, random_proxy):
    random_proxy.check_fits(digits)
    with pytest.raises(ArtifactError, match=r"made from digits.*nasproxy distill --dataset"):
        random_proxy.check_fits(make_dataset())
    larger = load_dataset(DataConfig(dataset="digits", image_size=16))
    with pytest.raises(ArtifactError, match=r"\(1, 8, 8\), the data has \(1, 16, 16\).*-size 8"):
        random_proxy.check_fits(larger)
