"""Rewrite the golden proxy: `python tests/golden/write_golden.py`.

A golden folder stays as an old version wrote it. Rewrite it only if it was wrong; a new schema
gets a new folder (`proxy-v2`), and the old one goes on being read.
"""

from __future__ import annotations

from pathlib import Path

import torch

from nasproxy.config import DIGITS
from nasproxy.proxy.dataset import Manifest, ProxyDataset
from nasproxy.proxy.store import save_proxy

FOLDER = Path(__file__).parent / "proxy-v1"


def golden_proxy() -> ProxyDataset:
    """Six 4x4 images of three classes, with soft labels and a step size, by arithmetic."""
    manifest = Manifest(
        kind="synthetic",
        method="datadam",
        dataset="digits",
        data_sha256="ab" * 32,
        ipc=2,
        num_classes=3,
        class_names=("zero", "one", "two"),
        mean=(0.25,),
        std=(0.5,),
        image_size=(4, 4),
        augmentation=DIGITS,
        seed=7,
        config={"method": "datadam", "iterations": 3, "nested": {"p": 4.0, "none": None}},
        seconds=1.5,
        history=({"iteration": 3, "validation_accuracy": 0.5},),
        created="2026-11-22T00:00:00+00:00",
        versions={"nasproxy": "0.1.0"},
    )
    images = (torch.arange(96).float() / 32 - 1).view(6, 1, 4, 4)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    soft_labels = torch.nn.functional.one_hot(labels, 3) * 0.75 + 1 / 12
    return ProxyDataset(images, labels, manifest, soft_labels, torch.tensor(0.125))


if __name__ == "__main__":
    from dataclasses import replace

    from nasproxy._files import sha256_of
    from nasproxy.proxy.store import _pack

    proxy = golden_proxy()
    # sealed by hand: the date and versions stay fixed
    sealed = proxy.manifest.replace(tensors_sha256=sha256_of([_pack(proxy)]))
    save_proxy(replace(proxy, manifest=sealed), FOLDER)
