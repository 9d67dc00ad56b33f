"""Distillation and training-free scores on CUDA against those of the CPU."""

from __future__ import annotations

import pytest
import torch

from nasproxy.config import DataDAMConfig, PADConfig
from nasproxy.distill.datadam import DataDAM
from nasproxy.distill.pad import PAD
from nasproxy.distill.session import distill
from nasproxy.progress import unwatched
from nasproxy.proxy.store import load_proxy
from nasproxy.scores.named import SCORES, score_architecture

NETWORKS = (
    {"family": "convnet", "depth": 1, "width": 8, "norm": "batch"},
    {"family": "convnet", "depth": 2, "width": 8},
)
DATADAM = DataDAMConfig(ipc=2, iterations=5, depth=2, width=8, real_batch=20)
TINY_PAD = PADConfig(
    ipc=2, iterations=4, experts=1, expert_epochs=3, filter_samples=False,
    first_max_start=1, max_start=2, match_distance=1, student_steps=5, depth=2, width=8,
    num_checks=1,
)  # fmt: skip


@pytest.mark.parametrize("config", [DATADAM, DATADAM.replace(networks=NETWORKS)])
def test_datadam(digits, cuda, config):
    distiller = DataDAM(config)
    ends = [
        list(distiller.steps(data, distiller.start(data)))[-1] for data in (digits, digits.to(cuda))
    ]
    torch.testing.assert_close(
        ends[1].state.images.cpu(), ends[0].state.images, atol=1e-2, rtol=1e-2
    )
    assert ends[1].losses == pytest.approx(ends[0].losses, rel=1e-2)


@pytest.mark.parametrize("mask", ["depth", "loss"])
def test_pad(digits, cuda, tmp_path, mask):
    distiller = PAD(TINY_PAD.replace(mask=mask))
    distiller.prepare(digits, tmp_path, workers=1, watch=unwatched)
    ends = [
        list(distiller.steps(data, distiller.start(data)))[-1] for data in (digits, digits.to(cuda))
    ]
    torch.testing.assert_close(
        ends[1].state.images.cpu(), ends[0].state.images, atol=1e-2, rtol=1e-2
    )
    assert ends[1].losses == pytest.approx(ends[0].losses, rel=1e-2)


@pytest.mark.parametrize("config", [DATADAM, TINY_PAD])
def test_from_real_images_to_a_proxy(digits, cuda, tmp_path, config):
    made = distill(digits.to(cuda), config.replace(num_checks=1), tmp_path)
    again = load_proxy(tmp_path, torch.device("cpu"))
    assert made.images.device.type == "cuda"
    assert torch.equal(again.images, made.images.cpu())


@pytest.mark.parametrize("name", SCORES)
def test_scores(digits, cuda, name):
    architecture = {"depth": 2, "width": 8, "norm": "batch"}
    batch = digits.train.take(torch.arange(32))
    expected, found = (
        score_architecture(name, architecture, images, 10, 0)[0]
        for images in (batch, batch.to(cuda))
    )
    # slopes of nearly dead rectifiers and eigenvalues near zero amplify rounding
    assert found == pytest.approx(expected, rel=1e-2 if name in ("jacov", "zico") else 1e-3)
