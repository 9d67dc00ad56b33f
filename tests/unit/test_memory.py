from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from nasproxy._memory import keep_freed_memory, usual_memory
if sys.argv[1] != "leave":
    assert keep_freed_memory()
usual = usual_memory()
if sys.argv[1] == "usual":
    usual.__enter__()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(64 * 2**20)
before = faults()
for _ in range(4):
    torch.ones(16 * 2**20)
print(faults() - before)
"""


def page_faults(how: str) -> int:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", CODE, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=plain)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left alone")
def test_freed_blocks_are_used_again_without_new_page_faults():
    """64 MiB, four times, after 256 MiB: 65,536 pages of 4 KiB, unless these are kept.

    A quarter are new at times: the first block does not always fit where the large one was.
    """
    assert page_faults("keep") < page_faults("leave") / 2
    assert page_faults("usual") == pytest.approx(page_faults("leave"), rel=0.1)
