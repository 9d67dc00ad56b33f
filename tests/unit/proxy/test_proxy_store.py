from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from nasproxy import _files
from nasproxy._files import read_json, sha256_of, write_json
from nasproxy.errors import ArtifactError
from nasproxy.proxy.coreset import make_baseline
from nasproxy.proxy.store import (
    MANIFEST_FILE,
    MAX_TENSORS_BYTES,
    TENSORS_FILE,
    find_newest_synthetic,
    load_manifest,
    load_proxy,
    save_proxy,
    seal,
)


@pytest.fixture
def proxy(make_dataset):
    return make_baseline(make_dataset((5, 5, 5), (1, 4, 4)), "random", 1, 0)


@pytest.fixture
def folder(proxy, tmp_path) -> Path:
    save_proxy(proxy, tmp_path / "proxy")
    return tmp_path / "proxy"


def rewrite(folder: Path, content: bytes, **manifest: object) -> None:
    """Replace the tensors by others, with the hash that they have."""
    (folder / TENSORS_FILE).write_bytes(content)
    record = {**read_json(folder / MANIFEST_FILE), "tensors_sha256": sha256_of([content])}
    write_json(folder / MANIFEST_FILE, {**record, **manifest})


def test_round_trip(proxy, tmp_path):
    full = replace(proxy, soft_labels=torch.rand(3, 3).softmax(1), step_size=torch.tensor(0.01))
    saved = save_proxy(full, tmp_path)
    found = load_proxy(tmp_path)
    for name in ("images", "labels", "soft_labels", "step_size"):
        assert torch.equal(getattr(found, name), getattr(full, name))
        assert getattr(found, name).dtype == getattr(full, name).dtype
    assert found.manifest == saved.manifest == load_manifest(tmp_path)
    assert found.manifest.created
    assert found.manifest.versions["torch"] == torch.__version__.split("+")[0]
    assert found.manifest.replace(tensors_sha256="", created="", versions={}) == proxy.manifest


def test_sealing_twice_changes_nothing(proxy):
    sealed = seal(proxy)
    assert seal(sealed) is sealed
    assert seal(proxy).manifest.tensors_sha256 == sealed.manifest.tensors_sha256


def test_every_flipped_byte_and_every_truncation_is_noticed(folder):
    path = folder / TENSORS_FILE
    content = path.read_bytes()
    size = len(content)
    damaged = [content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] for i in range(size)]
    damaged += [content[:i] for i in range(0, size, 7)] + [content + b"\0"]
    for other in damaged:
        path.write_bytes(other)
        with pytest.raises(ArtifactError, match="damaged or was changed: sha256"):
            load_proxy(folder)


def test_a_damaged_manifest_is_refused_or_reads_as_something_valid(folder):
    path = folder / MANIFEST_FILE
    content = path.read_bytes()
    refused = 0
    for i in range(0, len(content), 4):
        path.write_bytes(content[:i] + bytes([content[i] ^ 0x81]) + content[i + 1 :])
        with pytest.raises(ArtifactError, match=r"manifest\.json"):  # no longer UTF-8
            load_proxy(folder)
        path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        try:
            load_proxy(folder)
        except ArtifactError:
            refused += 1
    assert refused > len(content) / 12
    for i in range(0, len(content) - 2, 31):
        path.write_bytes(content[:i])
        with pytest.raises(ArtifactError, match="not valid JSON"):
            load_proxy(folder)


IMAGES, LABELS = torch.zeros(3, 1, 4, 4), torch.arange(3)
SOFT = torch.full((3, 3), 1 / 3)
FAULTS = {
    "no images": ({"images": None}, "must hold images and labels, found .'labels'."),
    "no labels": ({"labels": None}, "must hold images and labels"),
    "double images": ({"images": IMAGES.double()}, r"float32 \(3, 1, 4, 4\), got torch.float64"),
    "flat images": ({"images": torch.zeros(3, 16)}, r"got torch.float32 \(3, 16\)"),
    "other size": ({"images": torch.zeros(3, 1, 5, 4)}, r"got torch.float32 \(3, 1, 5, 4\)"),
    "other number": ({"images": torch.zeros(4, 1, 4, 4)}, r"must be float32 \(3, 1, 4, 4\)"),
    "int32 labels": ({"labels": LABELS.int()}, "labels must be int64"),
    "float labels": ({"labels": LABELS.float()}, "labels must be int64"),
    "scalar labels": ({"labels": torch.tensor(0)}, "labels|images"),
    "matrix of labels": ({"labels": torch.zeros(3, 1).long()}, "labels must be int64"),
    "nothing": ({"images": torch.zeros(0, 1, 4, 4), "labels": LABELS[:0]}, "labels must be int64"),
    "label too large": ({"labels": torch.tensor([0, 1, 3])}, r"outside 0\.\.2"),
    "label negative": ({"labels": torch.tensor([0, 1, -1])}, r"outside 0\.\.2"),
    "NaN image": ({"images": IMAGES.index_fill(0, LABELS[:1], torch.nan)}, "not finite"),
    "infinite image": ({"images": IMAGES.index_fill(0, LABELS[:1], torch.inf)}, "not finite"),
    "soft labels' shape": ({"soft_labels": torch.zeros(3, 2)}, r"soft_labels must be .*\(3, 2\)"),
    "soft labels' type": ({"soft_labels": SOFT.double()}, "soft_labels"),
    "integer soft labels": ({"soft_labels": torch.ones(3, 3).long()}, "soft_labels"),
    "NaN soft label": ({"soft_labels": SOFT * torch.nan}, "soft_labels"),
    "step size's shape": ({"step_size": torch.zeros(2)}, "step_size"),
    "NaN step size": ({"step_size": torch.tensor(torch.nan)}, "step_size"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_tensors_that_are_not_a_proxy(folder, fault):
    change, message = FAULTS[fault]
    tensors = {"images": IMAGES, "labels": LABELS, **change}
    rewrite(folder, save({name: value for name, value in tensors.items() if value is not None}))
    with pytest.raises(ArtifactError, match=message) as caught:
        load_proxy(folder)
    assert TENSORS_FILE in str(caught.value)


@pytest.mark.parametrize("protocol", ["pickle", "torch", "safetensors with a long header"])
def test_no_pickle_is_read(folder, tmp_path, protocol):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "other"
    if protocol == "torch":
        torch.save({"images": Bomb()}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb()))
    content = path.read_bytes()
    rewrite(folder, content if "safe" not in protocol else (2**62).to_bytes(8, "little") + content)
    with pytest.raises(ArtifactError, match="not a safetensors file"):
        load_proxy(folder)
    assert not (tmp_path / "exploded").exists()


MANIFEST_FAULTS = {
    "later version": ({"schema_version": 2}, "schema version 2, this nasproxy reads 1"),
    "no version": ({"schema_version": None}, "schema version None"),
    "version true": ({"schema_version": True}, "schema"),
    "unknown key": ({"labls": 1}, "unknown setting 'labls'"),
    "kind": ({"kind": "magic"}, "kind must be 'synthetic'"),
    "number as text": ({"num_classes": "3"}, "num_classes must be a valid integer"),
    "no classes": ({"num_classes": 0}, "num_classes"),
    "seconds": ({"seconds": -1}, "seconds must be"),
    "NaN": ({"seconds": float("nan")}, "seconds|JSON"),
    "image size": ({"image_size": [4]}, "image_size"),
    "other image size": ({"image_size": [4, 5]}, r"float32 \(3, 1, 4, 5\)"),
    "other channels": ({"mean": [0, 0], "std": [1, 1]}, r"float32 \(3, 2, 4, 4\)"),
    "fewer standard deviations": ({"std": []}, "std"),
    "more standard deviations": ({"std": [1, 1, 1]}, "std"),
    "fewer class names": ({"class_names": ["a"]}, "class_names"),
    "flip": ({"augmentation": {"flip": "yes"}}, "augmentation.flip"),
}


@pytest.mark.parametrize("fault", MANIFEST_FAULTS)
def test_manifests_that_are_not_one(folder, fault):
    change, message = MANIFEST_FAULTS[fault]
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps({**read_json(path), **change}))
    with pytest.raises(ArtifactError, match=message):
        load_proxy(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"[]", "does not hold a manifest"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"schema_version": 1, "seed": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"schema_version": 1, "kind": "\\ud800"}', "manifest.json"),
    ],
    ids=["empty", "list", "too deep", "long number", "not UTF-8", "half a character"],
)
def test_json_that_is_no_manifest(folder, content, message):
    (folder / MANIFEST_FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match=message) as caught:
        load_proxy(folder)
    assert "\n" not in str(caught.value)


def test_nesting_near_pythons_limit(folder):
    for n in range(900, 1000, 3):
        content = '{"schema_version": 1, "config": ' + "[" * n + "]" * n + "}"
        (folder / MANIFEST_FILE).write_text(content)
        with pytest.raises(ArtifactError, match=r"manifest\.json"):
            load_proxy(folder)


def test_files_too_large_are_not_read(folder):
    os.truncate(folder / TENSORS_FILE, MAX_TENSORS_BYTES + 1)  # sparse
    with pytest.raises(ArtifactError, match="larger than 16 GiB: not read"):
        load_proxy(folder)
    os.truncate(folder / MANIFEST_FILE, _files.MAX_JSON_BYTES + 1)
    with pytest.raises(ArtifactError, match="larger than 256 MiB: not read"):
        load_proxy(folder)


def test_missing_files(folder, tmp_path):
    (folder / TENSORS_FILE).unlink()
    with pytest.raises(ArtifactError, match=r"cannot read .*proxy\.safetensors"):
        load_proxy(folder)
    for other in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ArtifactError, match=r"is not a proxy: it has no manifest.json"):
            load_proxy(other)


def test_a_folder_that_cannot_be_written(proxy, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match=r"cannot write .*choose another folder"):
        save_proxy(proxy, tmp_path / "file" / "proxy")


def test_the_newest_synthetic_proxy_that_fits(make_dataset, tmp_path):
    data, foreign = make_dataset((5,) * 3, (1, 4, 4)), make_dataset((5,) * 3, (1, 4, 4), seed=1)

    def put(where: str, created: str, *, source=data, kind="synthetic", ipc=1) -> None:
        proxy = seal(make_baseline(source, "random", ipc, 0))
        manifest = proxy.manifest.replace(kind=kind, created=created)
        save_proxy(replace(proxy, manifest=manifest), tmp_path / where)

    assert find_newest_synthetic([tmp_path, tmp_path / "absent"], data) is None
    put("old", "2026-01-01T00:00:00+00:00")
    put("runs/new/proxy", "2026-03-01T00:00:00+00:00")  # four deep: not looked at
    put("runs/new", "2026-02-01T00:00:00+00:00")
    put("two", "2026-01-15T00:00:00+00:00", ipc=2)
    put("random", "2027-01-01T00:00:00+00:00", kind="random")
    put("foreign", "2027-01-01T00:00:00+00:00", source=foreign)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / MANIFEST_FILE).write_text("{")
    assert find_newest_synthetic([tmp_path], data) == tmp_path / "runs/new"
    assert find_newest_synthetic([tmp_path], data, ipc=2) == tmp_path / "two"
    assert find_newest_synthetic([tmp_path], data, ipc=3) is None
    assert find_newest_synthetic([tmp_path / "old", tmp_path / "two"], data) == tmp_path / "two"
