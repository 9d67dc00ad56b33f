from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from nasproxy.cli.distill import describe
from nasproxy.config import DataDAMConfig, Recipe
from nasproxy.distill import session
from nasproxy.distill.checkpoint import Checkpoint
from nasproxy.distill.session import CHECKPOINT_FILE, check_iterations, distill
from nasproxy.errors import ArtifactError, ConfigError, EvaluationError, NasproxyError
from nasproxy.proxy.store import load_proxy
from nasproxy.run_folder import locked

CONFIG = DataDAMConfig(
    ipc=2, iterations=8, real_batch=8, depth=2, width=4, num_checks=2, image_lr=1.0
)


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setattr(session, "CHECK_RECIPE", Recipe(epochs=3, validation_images=None))
    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", -1.0)  # after every iteration


@pytest.fixture
def data(make_dataset):
    return make_dataset()


class KilledError(Exception):
    pass


def kill_at(iteration: int):
    def watch(progress):
        assert (progress.stage, progress.total) == ("distill", CONFIG.iterations)
        if progress.done == iteration:
            raise KilledError

    return watch


def interrupt(data, folder: Path, iteration: int = 3, config=CONFIG) -> Path:
    with pytest.raises(KilledError):
        distill(data, config, folder, watch=kill_at(iteration))
    return folder / CHECKPOINT_FILE


def test_a_second_process_is_refused(data, tmp_path):
    with locked(tmp_path), pytest.raises(ArtifactError, match="another process works on"):
        distill(data, CONFIG, tmp_path)


def test_an_undisturbed_run(data, tmp_path):
    seen = []
    proxy = distill(data, CONFIG, tmp_path, watch=seen.append)
    assert [progress.done for progress in seen] == list(range(1, 9))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock", "final.png", "manifest.json", "middle.png", "proxy.safetensors", "start.png",
    ]  # fmt: skip
    manifest = proxy.manifest
    assert (manifest.kind, manifest.method, manifest.ipc) == ("synthetic", "datadam", 2)
    assert manifest.config["image_lr"] == 1.0
    assert manifest.seconds > 0
    history = manifest.history
    assert [entry["iteration"] for entry in history] == [0, 4, 8]
    assert all(0 <= entry["validation_accuracy"] <= 1 for entry in history)
    assert all({"attention", "embedding"} <= set(entry) for entry in history[1:])
    found = load_proxy(tmp_path)
    assert torch.equal(found.images, proxy.images)
    assert found.manifest == manifest
    for name in ("start", "middle", "final"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size == (2 * 50 + 2, 3 * 50 + 2)
    proxy.check_fits(data)


@pytest.mark.parametrize("checkpoints", [True, False])
@pytest.mark.parametrize("iteration", [1, 3, 4, 5, 8])
def test_killed_and_gone_on_with_is_the_same_proxy(
    data, tmp_path, monkeypatch, iteration, checkpoints
):
    undisturbed = distill(data, CONFIG, tmp_path / "undisturbed")
    if not checkpoints:
        monkeypatch.setattr(session, "CHECKPOINT_SECONDS", 1e9)
    path = interrupt(data, tmp_path / "killed", iteration)
    assert path.exists() == checkpoints
    seen = []
    resumed = distill(data, CONFIG, tmp_path / "killed", watch=seen.append)
    assert [progress.done for progress in seen] == list(
        range(iteration + 1 if checkpoints else 1, 9)
    )
    assert resumed.manifest.tensors_sha256 == undisturbed.manifest.tensors_sha256
    assert resumed.manifest.history == undisturbed.manifest.history
    for name in ("start.png", "middle.png", "final.png"):
        pictures = [(tmp_path / run / name).read_bytes() for run in ("undisturbed", "killed")]
        assert pictures[0] == pictures[1]
    assert not path.exists()


def test_seconds_add_up_over_interruptions(data, tmp_path):
    def watch(progress):
        time.sleep(0.02)
        if progress.done == 5 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            raise KilledError

    with pytest.raises(KilledError):
        distill(data, CONFIG, tmp_path, watch=watch)
    assert distill(data, CONFIG, tmp_path, watch=watch).manifest.seconds > 7 * 0.02


def test_the_best_checked_images_are_kept(data, tmp_path):
    """An image lr that ruins the images: the initial ones stay the best, or as good."""
    config = CONFIG.replace(image_lr=1e4, loss_scale=100.0, init="kcenter")
    proxy = distill(data, config, tmp_path)
    accuracies = [entry["validation_accuracy"] for entry in proxy.manifest.history]
    best = accuracies.index(max(accuracies))  # the earliest of equals
    start = session.DataDAM(config).start(data).images
    assert torch.equal(proxy.images, start) == (best == 0)
    assert proxy.manifest.config["kept_iteration"] == proxy.manifest.history[best]["iteration"]


@pytest.mark.parametrize(("kept", "said"), [(0, "0: nothing was gained"), (4, "4")])
def test_the_command_says_which_images_are_kept(data, tmp_path, kept, said):
    proxy = distill(data, CONFIG, tmp_path)
    config = {**proxy.manifest.config, "kept_iteration": kept}
    manifest = proxy.manifest.replace(config=config)
    assert f"  kept: iteration {said}" in describe(replace(proxy, manifest=manifest), tmp_path)


@pytest.mark.parametrize(("later", "kept"), [(0.5, 0), (0.75, 4)])
def test_of_equals_the_first_is_kept(later, kept):
    history = [{"iteration": i, "validation_accuracy": a} for i, a in ((0, 0.5), (4, later))]
    assert Checkpoint(None, None, {}, history).kept_iteration() == kept


def test_a_network_that_diverges_in_a_check_does_not_end_the_run(data, tmp_path, monkeypatch):
    recipe = Recipe(epochs=3, lr=1e30, validation_images=None)
    monkeypatch.setattr(session, "CHECK_RECIPE", recipe)
    proxy = distill(data, CONFIG.replace(norm="none"), tmp_path)
    assert [entry["validation_accuracy"] for entry in proxy.manifest.history] == [0.0] * 3
    assert all("diverged" in entry["error"] for entry in proxy.manifest.history)
    assert proxy.manifest.config["kept_iteration"] == 0


def test_a_finished_folder_returns_its_proxy_at_once(data, tmp_path):
    proxy = distill(data, CONFIG, tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = distill(data, CONFIG, tmp_path, watch=kill_at(1))
    assert torch.equal(again.images, proxy.images)
    assert again.manifest == proxy.manifest
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_folder_of_another_configuration_or_data_set_is_refused(data, make_dataset, tmp_path):
    distill(data, CONFIG, tmp_path / "done")
    interrupt(data, tmp_path / "half")
    for folder in (tmp_path / "done", tmp_path / "half"):
        before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
        with pytest.raises(ArtifactError, match=r"image_lr 1.0 instead of 2.0.*--out"):
            distill(data, CONFIG.replace(image_lr=2.0), folder)
        with pytest.raises(ArtifactError, match=r"other data|this proxy was made from"):
            distill(make_dataset(seed=1), CONFIG, folder)
        assert before == sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())


def test_a_proxy_of_real_images_in_the_way_is_refused(data, tmp_path):
    from nasproxy.proxy.coreset import make_baseline
    from nasproxy.proxy.store import save_proxy

    save_proxy(make_baseline(data, "random", 2, 0), tmp_path)
    with pytest.raises(ArtifactError, match="already holds another proxy"):
        distill(data, CONFIG, tmp_path)


@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "metadata", "a tensor less"])
def test_a_damaged_checkpoint(data, tmp_path, damage):
    path = interrupt(data, tmp_path)
    content = path.read_bytes()
    if damage in ("metadata", "a tensor less"):
        tensors = load_file(path)
        if damage == "a tensor less":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                metadata = file.metadata()
            del tensors["velocity"]
            save_file(tensors, path, metadata)
        else:
            save_file(tensors, path, {"key": "{}", "progress": "[]"})
    else:
        path.write_bytes({"empty": b"", "truncated": content[:-9], "garbage": b"\x80" * 99}[damage])
    with pytest.raises(ArtifactError, match=r"checkpoint.safetensors is damaged|another, unfin"):
        distill(data, CONFIG, tmp_path)


def test_progress_that_is_not_a_record_is_damage(data, tmp_path):
    from safetensors import safe_open

    path = interrupt(data, tmp_path)
    with safe_open(path, framework="pt") as file:
        key = file.metadata()["key"]
    save_file(load_file(path), path, {"key": key, "progress": "[]"})
    with pytest.raises(ArtifactError, match="is damaged"):
        distill(data, CONFIG, tmp_path)


def test_divergence(data, tmp_path):
    with pytest.raises(EvaluationError, match="diverged"):
        distill(data, CONFIG.replace(image_lr=1e38, norm="none", num_checks=1), tmp_path)


@pytest.mark.parametrize("change", [{"ipc": 13}, {"depth": 4}, {"width": 6, "norm": "group"}])
def test_misfits_leave_no_proxy(data, tmp_path, change):
    with pytest.raises(NasproxyError):
        distill(data, CONFIG.replace(**change), tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(ConfigError):  # and the next call says the same
        distill(data, CONFIG.replace(**change), tmp_path / "out")


def test_a_folder_that_cannot_be_made(data, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="cannot write"):
        distill(data, CONFIG, tmp_path / "file")


@pytest.mark.parametrize(
    ("iterations", "checks", "expected"),
    [(8, 2, {4, 8}), (10, 4, {2, 5, 7, 10}), (3, 4, {1, 2, 3}), (1, 4, {1}), (7, 1, {7})],
)
def test_checks_are_spread_and_end_with_the_last(iterations, checks, expected):
    config = CONFIG.replace(iterations=iterations, num_checks=checks)
    assert check_iterations(config) == expected
