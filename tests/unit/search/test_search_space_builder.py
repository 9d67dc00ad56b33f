"""Spaces whose networks a function of the user's makes."""

from __future__ import annotations

import hashlib
import json

import pytest

from nasproxy import permission
from nasproxy._files import read_json, write_json
from nasproxy.config import Recipe, SearchConfig
from nasproxy.errors import ArtifactError, SearchSpaceError
from nasproxy.search.session import search
from nasproxy.search.space import SearchSpace, load_space

NETS = """
from math import prod
from torch import nn

def make(image_shape, num_classes, width, offset=0):
    if width > 8:
        raise ValueError(f"width {width} is too large")
    return nn.Sequential(
        nn.Flatten(), nn.Linear(prod(image_shape), width), nn.ReLU(), nn.Linear(width, num_classes)
    )
"""
SPACE = 'builder = "nets:make"\n[parameters]\nwidth = [4, 8, 16]\n'


@pytest.fixture
def write(tmp_path, write_module):
    def to_file(text: str) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return str(path)

    write_module(NETS)
    return to_file


def test_a_space_with_a_builder_is_refused_unless_code_is_allowed(write, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SearchSpaceError, match=r"mine.toml: builder 'nets:make' .*--allow-code"):
        load_space(write(SPACE))
    text = json.dumps({"builder": "nets:make", "parameters": {"width": [4]}})
    space = SearchSpace.parse(json.loads(text))
    with pytest.raises(SearchSpaceError, match=r"'nets:make' .*--allow-code"):
        space.feasible_points((1, 8, 8))


def test_architectures_name_the_function_and_its_code(write, tmp_path):
    permission.allow_code(tmp_path)
    space = load_space(write(SPACE + "[fixed]\noffset = 2\n"))
    found = hashlib.sha256((tmp_path / "nets.py").read_bytes()).hexdigest()
    assert [space.architecture(point) for point in space.points()] == [
        {
            "family": "builder", "builder": "nets:make", "builder_sha256": found, "offset": 2,
            "width": width,
        }
        for width in (4, 8, 16)
    ]  # fmt: skip
    assert space.feasible_points((1, 8, 8)) == [{"width": 4}, {"width": 8}]
    assert SearchSpace.parse(json.loads(json.dumps(space.to_dict()))) == space


def test_nothing_fits(write, tmp_path):
    permission.allow_code(tmp_path)
    space = load_space(write(SPACE.replace("[4, 8, 16]", "[16, 32]")))
    with pytest.raises(SearchSpaceError, match=r"space mine fits .* width 16 is too large .line 7"):
        space.feasible_points((1, 8, 8))


def test_records_of_other_spaces_are_as_they_were():
    """Else the studies of older versions could not be gone on with."""
    names = ("name", "family", "description", "switches", "parameters", "conditions", "fixed")
    assert tuple(load_space("convnet").to_dict()) == names


FAULTS = {
    "both": ('family = "mlp"\n' + SPACE, "a family or a builder"),
    "neither": ("[parameters]\nwidth = [4]\n", "a family or a builder"),
    "family of that name": ('family = "builder"\n[parameters]\nwidth = [4]\n', "or a builder"),
    "no name": (SPACE.replace("nets:make", "nets.make"), "MODULE:FUNCTION.* got 'nets.make'"),
    "hidden below": (
        'family = "mlp"\n[parameters]\nhidden = [4]\n[fixed]\nfamily = "builder"\n'
        'builder = "nets:make"\n', "family stands above the tables",
    ),
    "a choice of builders": (
        SPACE + 'builder = ["nets:make", "nets:other"]\n', "builder stands above the tables",
    ),
    "the data's": (SPACE + "image_shape = [1, 2]\n", "image_shape is given by the data"),
    "no such module": (SPACE.replace("nets:", "nats:"), "module 'nats'"),
    "no such function": (SPACE.replace(":make", ":mak"), "did you mean 'make'"),
    "other code": (f'builder_sha256 = "{"0" * 64}"\n' + SPACE, "instead of 000000000000"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_malformed_spaces_name_the_key(fault, write, tmp_path):
    text, message = FAULTS[fault]
    permission.allow_code(tmp_path)
    with pytest.raises(SearchSpaceError, match=message) as caught:
        load_space(write(text))
    assert str(caught.value).startswith("mine.toml: ")
    assert "\n" not in str(caught.value)


def test_a_run_goes_on_with_the_same_code_alone(write, tmp_path, digits, random_proxy):
    permission.allow_code(tmp_path)
    config = SearchConfig(
        space=write(SPACE), trials=2, uniform_trials=2, recipe=Recipe(epochs=1)
    )  # fmt: skip
    folder = tmp_path / "run"
    first = search(digits, random_proxy, config, folder, engine="serial")
    assert [candidate["status"] for candidate in first] == ["complete"] * 2
    assert search(digits, random_proxy, config, folder, engine="serial") == first
    run = read_json(folder / "run.json")
    found = run["config"]["space"]["builder_sha256"]
    assert found == hashlib.sha256((tmp_path / "nets.py").read_bytes()).hexdigest()
    run["config"]["space"]["builder_sha256"] = "0" * 64  # as if the file had been edited since
    write_json(folder / "run.json", run)
    with pytest.raises(ArtifactError, match=r"space.builder_sha256 '0{64}'.* choose another --out"):
        search(digits, random_proxy, config, folder, engine="serial")
