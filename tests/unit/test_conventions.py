"""Rules of the house that a script can check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nasproxy

ROOT = Path(str(next(iter(nasproxy.__path__))))
MODULES = sorted(ROOT.rglob("*.py"))


def imports(tree: ast.AST, path: Path) -> Iterator[str]:
    """Every imported module, and every imported name as if it were one."""
    package = ["nasproxy", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def importers(name: str) -> set[str]:
    found = set()
    for path in MODULES:
        tree = ast.parse(path.read_text())
        if any(module == name or module.startswith(name + ".") for module in imports(tree, path)):
            found.add(path.relative_to(ROOT).parts[0])
    return found


def test_only_verify_sees_the_test_split():
    assert importers("nasproxy.data.holdout") == {"verify"}


def test_only_search_speaks_optuna():
    assert importers("optuna") == {"search"}


def test_the_report_never_imports_torch():
    assert "report" not in importers("torch")


def test_an_importer_is_found_however_it_imports():
    """The two tests above would say nothing if the search did not work."""
    path = ROOT / "verify" / "x.py"
    for text in (
        "import nasproxy.data.holdout", "from nasproxy.data import holdout",
        "from nasproxy.data.holdout import load_test_split", "from ..data import holdout",
        "from ..data.holdout import load_test_split", "def f():\n  import nasproxy.data.holdout",
    ):  # fmt: skip
        names = list(imports(ast.parse(text), path))
        assert any(name.startswith("nasproxy.data.holdout") for name in names), text


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_runs_foreign_code(path):
    tree = ast.parse(path.read_text())
    banned = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
    assert not banned & {name.split(".")[0] for name in imports(tree, path)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in {"eval", "exec", "torch.load", "os.system"}, f"{called}: {node.lineno}"
        if called in {"np.load", "numpy.load"}:
            pickles = [k for k in node.keywords if k.arg == "allow_pickle"]
            assert all(isinstance(k.value, ast.Constant) and not k.value.value for k in pickles)
        assert not any(k.arg == "shell" for k in node.keywords), f"shell: {node.lineno}"


def test_what_a_file_names_is_imported_in_one_place():
    """Everywhere else, what is imported by name is a name of ours."""
    names = {"import_module", "find_spec", "__import__"}
    found = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in names
        and not isinstance(node.args[0], ast.Constant)
    }
    assert found - {"__init__.py", "export/formats.py"} == {"models/builder.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_chance_comes_from_a_generator(path):
    """No global seed is set or used: `torch.rand` and its kind are given a generator."""
    drawing = {"torch.rand", "torch.randn", "torch.randperm", "torch.randint", "torch.multinomial"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"torch.manual_seed", "np.random.seed", "random.seed"}
            if called in drawing:
                assert "generator" in {k.arg for k in node.keywords}, f"{called}: {node.lineno}"
