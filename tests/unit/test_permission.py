"""Code of others is run only by a process that was told so."""

from __future__ import annotations

import os
import subprocess
import sys

from nasproxy import permission


def test_nothing_is_allowed_by_default():
    assert permission.code_folders() == ()


def test_folders_are_searched_first_and_listed_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    permission.allow_code()
    permission.allow_code(tmp_path / "other")
    permission.allow_code(tmp_path)
    assert permission.code_folders() == (str(tmp_path), str(tmp_path / "other"))
    assert sys.path[:2] == [str(tmp_path / "other"), str(tmp_path)]
    assert sys.path.count(str(tmp_path)) == 1


def test_another_process_is_not_allowed_what_this_one_is(tmp_path):
    """Only executors hand the permission on; no environment variable does."""
    permission.allow_code(tmp_path)
    code = "from nasproxy.permission import code_folders; print(code_folders())"
    environment = {**os.environ, "NASPROXY_ALLOW_CODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout == "()\n"
