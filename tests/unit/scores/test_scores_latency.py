from __future__ import annotations

import pytest
import torch

from nasproxy.errors import ConfigError
from nasproxy.scores.latency import measure_latency

CPU = torch.device("cpu")


def test_a_network_a_thousand_times_as_costly_takes_longer():
    shape = (1, 32, 32)
    small, large = (
        measure_latency({"depth": 3, "width": width}, shape, 10, CPU) for width in (4, 128)
    )
    assert 0 < 3 * small < large < 1000


def test_the_number_of_threads_is_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        measure_latency({"family": "mlp", "hidden": [8]}, (1, 4, 4), 2, CPU)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_misfits():
    with pytest.raises(ConfigError, match="depth 5"):
        measure_latency({"depth": 5}, (1, 8, 8), 10, CPU)
