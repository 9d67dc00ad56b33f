"""The worked example of docs/new-space.md, from its space to the exported network."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import invoke, invoke_json
from safetensors.torch import load_file

import nasproxy
from nasproxy.config import DataDAMConfig
from nasproxy.distill.datadam import DataDAM
from nasproxy.errors import ConfigError
from nasproxy.progress import unwatched
from nasproxy.scores.cost import measure_cost

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "residual"
if not EXAMPLE.is_dir():
    pytest.skip("docs/ is not here: a source distribution has none", allow_module_level=True)
SEARCH = shlex.split(
    "search --dataset digits --space residual.toml --proxy random --ipc 2 --trials 3 --uniform 3 "
    "--trust 0 --epochs 1 --out run"
)
VERIFY = shlex.split("verify run --top 1 --uniform 3 --seeds 1 --epochs 1")
EXPORT = shlex.split("export run --out network.safetensors")


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_module: Any) -> Path:
    """A copy of the example, as the current folder."""
    write_module((EXAMPLE / "residual_nets.py").read_text(), "residual_nets")
    shutil.copy(EXAMPLE / "residual.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*arguments: str | Path) -> str:
    result = invoke(*arguments, "--quiet")
    assert result.exit_code == 2, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


@pytest.mark.slow
def test_from_the_space_to_the_exported_network(example: Path) -> None:
    assert "residual.toml: builder 'residual_nets:make'" in refused(*SEARCH)
    found = invoke_json(*SEARCH, "--allow-code", "--workers", "2")["candidates"]
    assert [candidate["status"] for candidate in found] == ["complete"] * 3
    invoke_json(*VERIFY, "--allow-code", "--workers", "2")
    assert invoke_json("report", "run")["num_verified"] == 3
    done = invoke_json(*EXPORT, "--allow-code")
    assert done["max_difference"] <= 1e-4
    assert "allow_code()  # imports residual_nets:make" in Path(done["card"]).read_text()
    settings = {n: done["architecture"][n] for n in ("depth", "width", "norm")}
    nets = importlib.import_module("residual_nets")
    network = nets.make((1, 8, 8), 10, **settings)
    network.load_state_dict(load_file(done["out"]))
    card = Path(done["card"]).read_text()
    names: dict[str, Any] = {"pixels": torch.rand(3, 1, 8, 8)}
    exec(re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0], names)
    pixels = (names["pixels"] - done["mean"][0]) / done["std"][0]
    torch.testing.assert_close(network.eval()(pixels).softmax(1), names["probabilities"])
    if find_spec("onnxscript"):
        assert invoke_json("export", "run", "--allow-code")["max_difference"] <= 1e-4


def test_a_run_of_strangers_is_refused(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_module: Any
) -> None:
    """Its records name code that lies where Python would find it."""
    write_module("from pathlib import Path\nPath(__file__).with_name('run_by').touch()\n", "trap")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    shutil.copytree(finished_run, tmp_path / "run")
    for name in ("candidates.json", "verification.json"):
        records = json.loads((tmp_path / "run" / name).read_text())
        for record in records:
            record["architecture"] = {"family": "builder", "builder": "trap:make"}
        (tmp_path / "run" / name).write_text(json.dumps(records))
    for command in (VERIFY, EXPORT, [*VERIFY, "--workers", "2"], (*EXPORT, "--trial", "0")):
        assert "builder 'trap:make' is code that would be run" in refused(*command)
    invoke_json("report", "run")
    assert not (tmp_path / "run_by").exists()


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_parameters_of_the_example_by_hand(example: Path, norm: str) -> None:
    nasproxy.allow_code()
    settings = {"depth": 2, "width": 4, "norm": norm}
    architecture = {"family": "builder", "builder": "residual_nets:make", **settings}
    normed = 1 if norm == "none" else 2  # a bias, or a scale and a shift
    stem = 9 * 4 + 4 * normed
    first = 2 * (9 * 4 * 4 + 4 * normed)
    second = 9 * 4 * 8 + 9 * 8 * 8 + 2 * 8 * normed + 4 * 8
    expected = stem + first + second + 8 * 10 + 10
    assert measure_cost(architecture, (1, 8, 8), 10).num_params == expected


def test_stages_that_the_images_are_too_small_for_are_left_out(example: Path) -> None:
    nasproxy.allow_code()
    space = nasproxy.load_space("residual.toml")
    assert sum(1 for _ in space.points()) == 36
    assert {point["depth"] for point in space.feasible_points((1, 8, 8))} == {1, 2, 3}


def test_a_block_without_change_passes_features_on(example: Path) -> None:
    nasproxy.allow_code()
    nets = importlib.import_module("residual_nets")
    block = nets.Block(4, 4, 1, "none")
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    features = torch.rand(2, 4, 5, 6)
    torch.testing.assert_close(block(features), features)


def test_distillation_has_no_use_for_them(example: Path, digits: Any) -> None:
    nasproxy.allow_code()
    space = nasproxy.load_space("residual.toml")
    networks = [space.architecture(next(space.points()))]
    config = DataDAMConfig.preset("cpu", networks=networks)
    with pytest.raises(ConfigError, match="builder has no attention maps"):
        DataDAM(config).prepare(digits, example, workers=1, watch=unwatched)
