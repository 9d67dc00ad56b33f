"""What README and docs/ say can be typed, followed and built."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import typer
from commands import invoke
from PIL import Image

import nasproxy
from nasproxy.cli.app import UsageError, app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("docs/ is not here: a source distribution has none", allow_module_level=True)
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md")),
    *sorted(DOCS.rglob("*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
CHEAP = ("nasproxy data list", "nasproxy data info digits", "nasproxy doctor")
"""Beginnings of commands that take no time worth mentioning."""
PLACEHOLDER = re.compile(r"[A-Z]$|SECONDS|GIB")


class Command(NamedTuple):
    """A command that a page shows; in a sentence it may be no more than a name."""

    page: Path
    text: str
    in_block: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text}"


def blocks(text: str) -> Iterator[str]:
    """Every block of code that shows a terminal: indented, or fenced without a language."""
    for language, content in FENCE.findall(text):
        if language in ("", "sh", "bash", "console"):
            yield content
    for paragraph in re.split(r"\n\s*\n", FENCE.sub("\n", text)):
        lines = [line for line in paragraph.splitlines() if line.strip()]
        if lines and all(line.startswith("    ") for line in lines):
            yield "\n".join(line[4:] for line in lines)


def commands_of(page: Path) -> Iterator[Command]:
    text = page.read_text()
    for block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            if line.lstrip().startswith("nasproxy "):
                yield Command(page, line.strip(), True)
    plain = re.sub(r"^    .*$", "", FENCE.sub("\n", text), flags=re.MULTILINE)
    for span in re.findall(r"`(nasproxy [^`]+)`", plain):
        yield Command(page, " ".join(span.replace("\\|", "|").split()), False)


COMMANDS = [command for page in PAGES for command in commands_of(page)]


def parse(text: str) -> Any:
    """Parse a command line as the program does, and run nothing.

    Brackets mark what may be left out, a bar alternatives, a capital letter or unit a number.
    """
    text = re.sub(r"[\[\]]", "", text).rstrip("&| ")
    words = shlex.split(text, comments=True)[1:]
    words = [re.sub(r"\$\w+", "1", word) for word in words]  # the shell's variables
    words = ["1" if PLACEHOLDER.fullmatch(word) else word.split("|")[0] for word in words]
    command: Any = typer.main.get_command(app)
    name = "nasproxy"
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, f"there is no command {name!r} in: {text}"
        command = command.commands[name]
    if {"--help", "-h", "--version"} & set(words):
        return None
    return command.make_context(name, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_waits_for_a_figure(page: Path) -> None:
    """A word in capitals alone on a line or in a cell stands for something still to come."""
    text = FENCE.sub("\n", page.read_text(encoding="utf-8"))
    assert not re.search(r"TODO|TBD|FIXME", text)
    assert not re.search(r"^ {0,3}[A-Z][A-Z0-9]{4,}$", text, re.MULTILINE)
    cells = {cell.strip() for line in text.splitlines() for cell in line.split("|")[1:-1]}
    assert not {c for c in cells if re.fullmatch(r"[A-Z][A-Z0-9]{4,}", c)} - {"MNIST", "MHIST"}


def test_the_pages_show_commands() -> None:
    shown = {command.text.split()[1] for command in COMMANDS}
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert shown >= known - {"study"} - ({"demo"} - shown)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_command_parses(command: Command) -> None:
    if "COMMAND" in command.text:
        pytest.skip("stands for any command")
    try:
        parse(command.text)
    except UsageError as error:
        if command.in_block or "missing" not in type(error).__name__.lower():
            raise AssertionError(f"{command}: {error}") from error


def test_a_wrong_option_is_found() -> None:
    """The test above would say nothing if parsing let everything pass."""
    with pytest.raises(UsageError, match="trails"):
        parse("nasproxy search --dataset digits --trails 3")
    with pytest.raises(UsageError, match="integer"):
        parse("nasproxy search --dataset digits --trials many")
    with pytest.raises(AssertionError, match="sarch"):
        parse("nasproxy sarch --dataset digits")


def test_cheap_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = {c.text.partition("#")[0].strip() for c in COMMANDS}
    chosen = sorted(text for text in shown if text.startswith(CHEAP) and "DIR" not in text)
    assert chosen
    for text in chosen:
        result = invoke(*shlex.split(text)[1:])
        assert result.exit_code == 0, f"{text}: {result.output}"


def links_of(page: Path) -> Iterator[tuple[str, str]]:
    """Every link that does not lead to another site: path and anchor."""
    text = FENCE.sub("\n", page.read_text())
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("\n", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in headings)
    return {re.sub(r"\s", "-", heading) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in links_of(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.relative_to(ROOT)} links to {path}"
        assert target.is_relative_to(ROOT), f"{page.relative_to(ROOT)} links to {path}"
        if anchor:
            assert anchor in anchors_of(target), f"{page.relative_to(ROOT)}: {path}#{anchor}"


def test_pictures_are_small_and_told_to_those_who_do_not_see_them() -> None:
    pictures = sorted((DOCS / "pictures").iterdir())
    assert sum(path.stat().st_size for path in pictures) < 600_000
    assert max(path.stat().st_size for path in pictures) < 150_000
    text = "".join(page.read_text() for page in PAGES)
    assert all(f"pictures/{path.name}" in text for path in pictures), "each is shown"
    for words, path in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", text):
        assert len(words) > 10, f"{path} has no words beside it"


def test_every_public_name_is_documented() -> None:
    shown = re.findall(r"^::: (nasproxy\.\S+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    documented = {name.rpartition(".")[2] for name in shown}
    assert documented == set(nasproxy.__all__)
    for name in documented:
        home = next(path for path in shown if path.endswith(f".{name}"))
        found = getattr(nasproxy, name)
        assert home.startswith(found.__module__.rpartition(".")[0]), f"{home} is {found}"


def test_every_field_of_a_report_is_documented(finished_run: Path) -> None:
    from nasproxy._files import read_json

    page = (DOCS / "files.md").read_text()
    for name in read_json(finished_run / "report.json"):
        stem = re.sub(r"^(spearman_rho_\w+)_ci$", r"\1", name)
        assert f"`{stem}`" in page, f"docs/files.md does not say what {name} is"


def test_python_examples_are_python() -> None:
    for page in PAGES:
        for language, content in FENCE.findall(page.read_text()):
            if language == "python":
                compile(content, str(page), "exec")


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path) -> None:
    """Its commands in their order, on the images that its example writes."""
    text = (DOCS / "tutorial.md").read_text()
    example = next(content for language, content in FENCE.findall(text) if language == "python")
    subprocess.run([sys.executable, "-c", example], check=True, cwd=tmp_path)
    for command in commands_of(DOCS / "tutorial.md"):
        words = shlex.split(command.text)
        waits = words[1] == "dashboard"
        lacks = words[1] == "export" and not find_spec("onnxscript")
        if command.in_block and not waits and not lacks:
            arguments = [sys.executable, "-m", *words, "--quiet"]
            done = subprocess.run(
                arguments, check=False, cwd=tmp_path, capture_output=True, text=True
            )
            wanted = (0, 1) if words[1] == "doctor" else (0,)
            assert done.returncode in wanted, f"{command.text}: {done.stdout}{done.stderr}"
    assert (tmp_path / "runs" / "photos" / "report.html").exists()


SHORTER = {
    "run": "--trials 6 --trust 0 --top 1 --uniform 4 --epochs 1 --workers 1",
    "distill": "--iterations 4",
    "proxy": "--width 8 --seeds 1",
    "search": "--trials 8 --trust 0 --workers 1 --epochs 2",
    "verify": "--epochs 1 --workers 1",
}
"""What is added to README's commands, so that they take seconds on digits."""


@pytest.mark.slow
def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """All that it shows as blocks, in their order and one folder, on smaller data and shorter."""
    folder = tmp_path / "photos"
    for number, name in enumerate(("cat", "dog")):
        for index in range(12):
            path = folder / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((64, 64), 60 + 120 * number + index, np.uint8)
            Image.fromarray(pixels).save(path)
    ran = []
    for command in commands_of(ROOT / "README.md"):
        text = command.text.partition("#")[0].replace("mnist", "digits")
        words = shlex.split(text)
        name = words[1]
        lacks = name == "export" and not find_spec("onnxscript")
        if not command.in_block or name in ("dashboard", "demo") or lacks:
            continue
        if "--uniform" in words and name == "verify":
            words[words.index("--uniform") + 1] = "4"
        arguments = [sys.executable, "-m", *words, *SHORTER.get(name, "").split(), "--quiet"]
        done = subprocess.run(arguments, check=False, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        ran.append(name)
    assert {"run", "distill", "proxy", "search", "verify", "report", "data"} <= set(ran)


@pytest.mark.slow
def test_the_example_of_how_to_runs(tmp_path: Path) -> None:
    text = (DOCS / "how-to.md").read_text()
    example = next(content for language, content in FENCE.findall(text) if language == "python")
    short = example.replace("trials=20", "trials=12").replace("epochs=50", "epochs=2")
    (tmp_path / "example.py").write_text(short.replace("uniform=10", "uniform=10, epochs=1"))
    subprocess.run([sys.executable, "example.py"], check=True, cwd=tmp_path)
    assert (tmp_path / "runs" / "python" / "report.json").exists()


def test_the_spaces_shown_load(tmp_path: Path, write_module: Any) -> None:
    page = DOCS / "new-space.md"
    write_module((DOCS / "examples/residual/residual_nets.py").read_text(), "residual_nets")
    nasproxy.allow_code(tmp_path)
    sizes = []
    for language, content in FENCE.findall(page.read_text()):
        if language == "toml":
            path = tmp_path / f"space{len(sizes)}.toml"
            path.write_text(content)
            sizes.append(sum(1 for _ in nasproxy.load_space(str(path)).points()))
    assert sizes == [18, 6, 36]


def test_the_settings_shown_are_settings() -> None:
    import tomllib

    text = (DOCS / "commands.md").read_text()
    content = next(content for language, content in FENCE.findall(text) if language == "toml")
    assert nasproxy.RunConfig.parse(tomllib.loads(content)).search.trials == 60


NOTEBOOK = """
import sys, nbclient, nbformat
from traitlets.config import Config

# sockets in files: a TCP port that was free may be taken by the time the kernel binds it
config = Config({"KernelManager": {"transport": "ipc"}})
for attempt in range(2):
    notebook = nbformat.read(sys.argv[1], as_version=4)
    client = nbclient.NotebookClient(
        notebook, config=config, kernel_name="python3", timeout=1200, startup_timeout=300
    )
    try:
        client.execute()
        break
    except nbclient.exceptions.DeadKernelError:  # a machine short of memory kills, too
        if attempt:
            raise
print(notebook.cells[-1].outputs[0].text)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not (find_spec("nbclient") and find_spec("ipykernel")),
    reason="nbclient and ipykernel are missing: pip install -e '.[docs]'",
)
def test_the_notebook_runs(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="nasproxy-") as short:  # a socket's path is, too
        done = subprocess.run(
            [sys.executable, "-c", NOTEBOOK, str(DOCS / "tutorial.ipynb")],
            check=False, cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "JUPYTER_RUNTIME_DIR": short},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "rank correlation" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    not (find_spec("mkdocs") and find_spec("material") and find_spec("mkdocstrings")),
    reason="mkdocs-material and mkdocstrings are missing: pip install -e '.[docs]'",
)
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    configuration = DOCS / "site" / "mkdocs.yml"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(configuration),
         "-d", str(tmp_path / "site")],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "site" / "commands.html").read_text()
    for option in ("--judge-only", "--candidate-memory", "--group-column"):
        assert option in commands
    assert "load_dataset" in (tmp_path / "site" / "api.html").read_text()
    home = (tmp_path / "site" / "index.html").read_text()
    for place in (
        "pictures/report.png",
        "repository/results/mnist-convnet-random/report-page.html",
    ):
        assert f'"{place}"' in home
        assert (tmp_path / "site" / place).is_file()
