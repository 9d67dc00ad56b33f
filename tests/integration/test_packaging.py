"""What users install: built, looked into, and run in an environment that has nothing else."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.message import Message
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

pytest.importorskip("build", reason="pip install -e '.[test]'")
pytest.importorskip("hatchling", reason="pip install -e '.[test]'")
pytest.importorskip("pip", reason="this environment was made without pip")

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STEM = f"nasproxy-{PROJECT['version']}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the source distribution and of the wheel that is built from it, offline."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return built / f"{STEM}-py3-none-any.whl"


@pytest.fixture(scope="module")
def declared(wheel: Path) -> Message:
    """The wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(f"{STEM}.dist-info/METADATA"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {PurePosixPath(name).parts[0] for name in names} == {"nasproxy", f"{STEM}.dist-info"}
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "nasproxy").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    spaces = {f"nasproxy/search/spaces/{p.name}" for p in (ROOT / "search_spaces").glob("*.toml")}
    assert "nasproxy/py.typed" in package
    assert len(spaces) >= 4
    assert {name for name in names if name.startswith("nasproxy/")} == package | spaces
    assert f"{STEM}.dist-info/licenses/LICENSE" in names
    assert wheel.stat().st_size < 1_000_000


def test_the_source_distribution_can_be_tested(built: Path) -> None:
    with tarfile.open(built / f"{STEM}.tar.gz") as archive:
        names = {PurePosixPath(name).relative_to(STEM) for name in archive.getnames()}
    tops = {name.parts[0] for name in names if name.parts}
    assert tops >= {"nasproxy", "search_spaces", "tests", "pyproject.toml", "README.md", "LICENSE"}
    assert not tops & {"results", "runs", "docs", ".ci", ".git", ".venv", "build"}
    assert PurePosixPath("tests/integration/test_packaging.py") in names
    assert not [name for name in names if name.suffix == ".pyc"]


def test_metadata(declared: Message) -> None:
    assert declared["Requires-Python"] == ">=3.11"
    assert declared["License-Expression"] == "Apache-2.0"
    assert declared["Summary"]
    assert declared["Description-Content-Type"] == "text/markdown"
    assert "nasproxy run" in declared.get_payload()
    classifiers = set(declared.get_all("Classifier", []))
    assert classifiers >= {f"Programming Language :: Python :: 3.{n}" for n in (11, 12, 13, 14)}
    assert "Typing :: Typed" in classifiers
    assert set(declared.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    for line in declared.get_all("Requires-Dist", []):
        assert ">=" in line, "a lower bound"
        assert "<" not in line, "and no upper one"


def test_every_supported_python_is_one_that_the_package_allows(declared: Message) -> None:
    """The interpreter of this very run included, so that classifiers do not fall behind."""
    here = f"Programming Language :: Python :: {sys.version_info[0]}.{sys.version_info[1]}"
    assert here in declared.get_all("Classifier", [])


def required(lines: list[str]) -> set[str]:
    """Name every installed distribution that these requirements take, none of an extra."""
    found: set[str] = set()
    waiting = list(lines)
    while waiting:
        line = waiting.pop()
        match = re.match(r"[\w.-]+", line)
        if match is None or re.search(r"\bextra\s*==", line) or match[0] in found:
            continue
        try:
            waiting += metadata.requires(match[0]) or []
        except metadata.PackageNotFoundError:  # of another platform or Python
            continue
        found.add(match[0])
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, declared: Message, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment: the wheel, and links to what it says that it takes; no extras."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = folder / "lib" / version / "site-packages"
    for name in required(declared.get_all("Requires-Dist", [])):
        found = metadata.distribution(name)
        tops = {file.parts[0] for file in found.files or () if file.parts}
        for top in tops - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(found.locate_file(top))).absolute())
    command = [
        sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install",
        "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel),
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def call(program: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment elsewhere, with nothing of this checkout in sight."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NASPROXY", "VIRT"))}
    return subprocess.run(
        [str(program), *words], check=False, capture_output=True, text=True, cwd=folder,
        env={**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_it_is_the_installed_one_that_runs(environment: Path, tmp_path: Path) -> None:
    python = environment / "bin" / "python"
    done = call(python, tmp_path, "-c", "import nasproxy; print(nasproxy.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(environment), done.stderr
    done = call(environment / "bin" / "nasproxy", tmp_path, "--version")
    assert done.stdout == f"{PROJECT['version']}\n"
    done = call(environment / "bin" / "nasproxy", tmp_path, "demo", "--help")
    assert done.returncode == 0
    assert "--workers" in done.stdout


def test_doctor_without_the_extras(environment: Path, tmp_path: Path) -> None:
    done = call(environment / "bin" / "nasproxy", tmp_path, "doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    findings = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    for extra, package in (("dashboard", "optuna-dashboard"), ("export", "onnxscript")):
        assert package in findings[extra]["value"]
        assert findings[extra]["remedy"] == f"pip install 'nasproxy[{extra}]'"
    assert findings["nasproxy"]["value"] == PROJECT["version"]
    assert "convnet720" in findings["spaces"]["value"]


def test_a_search_elsewhere(environment: Path, tmp_path: Path) -> None:
    done = call(
        environment / "bin" / "nasproxy", tmp_path, "search", "--dataset", "digits", "--space",
        "convnet", "--proxy", "random", "--trials", "3", "--epochs", "2", "--trust", "0",
        "--workers", "1", "--out", "run", "--json", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "no warnings"
    found = json.loads(done.stdout)
    assert [one["status"] for one in found["candidates"]] == ["complete"] * 3
    assert (tmp_path / "run" / "candidates.json").exists()
