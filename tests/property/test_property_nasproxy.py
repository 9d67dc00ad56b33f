"""Invariants over ranges of inputs."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from nasproxy._random import named_generator, named_seed
from nasproxy.config import (
    Augmentation,
    DataConfig,
    DataDAMConfig,
    PADConfig,
    Recipe,
    SearchConfig,
    VerifyConfig,
    read_toml,
)
from nasproxy.data.idx import read_idx
from nasproxy.data.split import stratified_split, stratified_subset
from nasproxy.errors import NasproxyError
from nasproxy.proxy.coreset import make_baseline
from nasproxy.proxy.dataset import ProxyDataset
from nasproxy.proxy.store import load_manifest, load_proxy, save_proxy
from nasproxy.search.space import load_space, point_key

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(torch.tensor)
SEEDS = st.integers(0, 2**40)


@given(LABELS, st.floats(0.01, 0.89), SEEDS)
def test_splits(labels, fraction, seed):
    first, second = stratified_split(labels, fraction, named_generator(seed))
    assert sorted(first.tolist() + second.tolist()) == list(range(len(labels)))
    assert torch.equal(first, first.sort().values)
    assert torch.equal(second, second.sort().values)
    for label, count in zip(*labels.unique(return_counts=True), strict=True):
        taken = int((labels[second] == label).sum())
        assert taken == (0 if count == 1 else min(max(1, round(int(count) * fraction)), count - 1))


@given(LABELS, st.integers(1, 80), SEEDS)
def test_subset_sizes(labels, size, seed):
    chosen = stratified_subset(labels, size, named_generator(seed))
    assert torch.equal(chosen, chosen.unique())  # ascending, none twice
    if size >= len(labels):
        assert len(chosen) == len(labels)
    else:
        assert set(labels[chosen].tolist()) == set(labels.tolist())
        assert abs(len(chosen) - size) <= len(labels.unique())


@given(st.lists(st.tuples(SEEDS, st.text("abc-", max_size=8), st.integers(0, 99)), unique=True))
def test_seeds_are_in_range_and_distinct(names):
    seeds = [named_seed(*name) for name in names]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == len(names)
    for seed in seeds:
        torch.Generator().manual_seed(seed)


SHARES = st.floats(0, 0.99)
POSITIVE = st.floats(1e-6, 1e6)
COUNTS = st.integers(1, 10**6)
RECIPES = st.builds(
    Recipe,
    epochs=COUNTS,
    batch_size=COUNTS,
    lr=POSITIVE,
    momentum=SHARES,
    schedule=st.sampled_from(["cosine", "drop", "constant"]),
    augmentation=st.sampled_from(["fitting", "none"]),
    validation_images=st.none() | COUNTS,
)
CONFIGS = st.one_of(
    RECIPES,
    st.builds(Augmentation, rotate=st.floats(0, 180), scale=SHARES, flip=st.booleans()),
    st.builds(
        DataConfig,
        dataset=st.text(max_size=20),
        data_dir=st.none() | st.text(max_size=20),
        image_size=st.none() | st.integers(4, 1024),
        seed=SEEDS,
    ),
    st.builds(
        DataDAMConfig,
        ipc=COUNTS,
        init=st.sampled_from(["real", "noise", "kcenter"]),
        p=POSITIVE,
        augment=st.booleans(),
    ),
    st.builds(
        PADConfig,
        ipc=COUNTS,
        expert_epochs=st.none() | COUNTS,
        alpha=SHARES,
        mask=st.sampled_from(["depth", "loss"]),
        drop=st.lists(st.tuples(st.integers(0, 99), st.floats(0, 0.7)), max_size=3).map(tuple),
        soft_labels=st.booleans(),
    ),
    st.builds(SearchConfig, trials=COUNTS, uniform_trials=st.none() | COUNTS, recipe=RECIPES),
    st.builds(VerifyConfig, top=COUNTS, recipe=RECIPES),
)


def without_null(values: dict) -> dict:
    """TOML has no null."""
    return {
        key: without_null(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def to_toml(values: dict, path: str = "") -> str:
    lines, tables = [], []
    for key, value in values.items():
        if isinstance(value, dict):
            tables.append(f"[{path}{key}]\n" + to_toml(value, f"{path}{key}."))
        else:
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{key} = {text}")
    return "\n".join([*lines, *tables])


@given(CONFIGS)
def test_configs_round_trip(config):
    assert type(config).parse(config.to_dict()) == config
    assert type(config).parse(json.loads(json.dumps(config.to_dict()))) == config
    values = without_null(config.to_dict())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(to_toml(values), encoding="utf-8")
        assert type(config).parse(read_toml(path)) == type(config).parse(values)


SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))


@given(st.integers(1, 4), SHAPES, SEEDS, st.booleans())
def test_proxies_round_trip(make_dataset, ipc, shape, seed, soft):
    data = make_dataset((4, 5), shape, validation=1)
    made = make_baseline(data, "random", ipc, seed)
    labels = torch.rand(2 * ipc, 2).softmax(1) if soft else None
    proxy = ProxyDataset(made.images, made.labels, made.manifest, labels)
    with tempfile.TemporaryDirectory() as folder:
        saved = save_proxy(proxy, Path(folder))
        found = load_proxy(Path(folder))
    assert found.manifest == saved.manifest
    assert torch.equal(found.images, made.images)
    assert torch.equal(found.labels, made.labels)
    assert (found.soft_labels is None) == (not soft)
    if soft:
        assert torch.equal(found.soft_labels, labels)


def only_our_errors(read, name: str, content: bytes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            return read(path)
        except NasproxyError as error:
            message = str(error)
    assert message
    assert "\n" not in message
    return None


IDX = st.binary(max_size=60) | st.builds(
    lambda dimensions, sizes, rest: (
        b"\0\0\x08" + bytes([dimensions]) + b"".join(n.to_bytes(4, "big") for n in sizes) + rest
    ),
    st.integers(0, 255),
    st.lists(st.integers(0, 5) | st.integers(0, 2**32 - 1), max_size=5),
    st.binary(max_size=40),
)


@given(IDX, st.sampled_from(["plain", "packed", "claimed"]))
def test_any_bytes_are_an_array_or_a_data_error(content, kind):
    name = "images" if kind == "plain" else "images.gz"
    found = only_our_errors(read_idx, name, gzip.compress(content) if kind == "packed" else content)
    assert found is None or (found.dtype == np.uint8 and content.endswith(found.tobytes()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def valid_manifest(make_dataset):
    with tempfile.TemporaryDirectory() as folder:
        save_proxy(make_baseline(make_dataset((2, 2), (1, 4, 4)), "random", 1, 0), Path(folder))
        return json.loads((Path(folder) / "manifest.json").read_text())


@given(st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_manifest_or_an_artifact_error(content):
    only_our_errors(lambda path: load_manifest(path.parent), "manifest.json", content)


@given(st.data())
def test_any_value_in_a_manifest(valid_manifest, data):
    key = data.draw(st.sampled_from(sorted(valid_manifest)))
    content = json.dumps({**valid_manifest, key: data.draw(JSON)}).encode()
    only_our_errors(lambda path: load_manifest(path.parent), "manifest.json", content)


WORDS = st.sampled_from(
    [
        *("family", "convnet", "mlp", "parameters", "switches", "conditions", "fixed", "name"),
        *("depth", "width", "norm", "hidden.0", "hidden.1", "none", "group"),
        *("1", "2", "8", "true", "1.5", "-1", "inf", "nan"),
    ]
)
TOML_VALUES = st.recursive(
    WORDS.map(lambda w: w if w in {"1", "2", "8", "true", "1.5", "-1", "inf", "nan"} else f'"{w}"'),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda v: "[" + ", ".join(v) + "]")
        | st.dictionaries(WORDS, inner, max_size=2).map(
            lambda d: "{" + ", ".join(f'"{k}" = {v}' for k, v in d.items()) + "}"
        )
    ),
    max_leaves=5,
)
SPACES = st.builds(
    lambda family, tables: (
        f'family = "{family}"\n'
        + "\n".join(
            f"[{table}]\n" + "\n".join(f'"{k}" = {v}' for k, v in entries.items())
            for table, entries in tables.items()
        )
    ),
    st.sampled_from(["convnet", "mlp"]),
    st.dictionaries(
        st.sampled_from(["parameters", "switches", "conditions", "fixed"]),
        st.dictionaries(WORDS, TOML_VALUES, max_size=3),
        min_size=1,
    ),
)


@given(st.binary(max_size=60) | SPACES.map(str.encode))
@example(b'family = "convnet"\n[parameters]\ndepth = [1, 2]\n')
def test_any_bytes_are_a_space_or_an_error_of_ours(content):
    space = only_our_errors(lambda path: load_space(str(path)), "space.toml", content)
    if space is not None:
        points = list(space.points())
        assert points
        assert len({point_key(point) for point in points}) == len(points)
