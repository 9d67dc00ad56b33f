"""Artifacts that earlier versions wrote are still read, to the last bit."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
import write_golden

from nasproxy.proxy.grid import draw_grid
from nasproxy.proxy.store import load_proxy, save_proxy

FOLDER = write_golden.FOLDER


def test_the_golden_proxy_is_read():
    found, expected = load_proxy(FOLDER), write_golden.golden_proxy()
    for name in ("images", "labels", "soft_labels", "step_size"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
    assert found.manifest.replace(tensors_sha256="") == expected.manifest
    assert draw_grid(found.images, found.labels, found.normalization).size == (102, 152)


def test_the_golden_proxy_is_written(tmp_path):
    """Byte for byte; a difference means a new schema version and a new golden folder."""
    expected = write_golden.golden_proxy()
    manifest = load_proxy(FOLDER).manifest
    save_proxy(replace(expected, manifest=manifest), tmp_path)
    for name in ("proxy.safetensors", "manifest.json"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_the_manifests_keys_are_the_contracts():
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert set(manifest) >= {
        "schema_version", "kind", "method", "dataset", "data_sha256", "tensors_sha256", "ipc",
        "num_classes", "class_names", "mean", "std", "image_size", "seed", "config", "seconds",
        "versions",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["history", "created", "versions"])
def test_a_manifest_that_lacks_an_optional_key(tmp_path, key):
    folder = shutil.copytree(FOLDER, tmp_path / "proxy")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest[key]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert len(load_proxy(folder).labels) == 6
