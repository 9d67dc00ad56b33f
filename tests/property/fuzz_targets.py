"""Loaders of what strangers write, each with a valid artifact, and the damage done to it."""

from __future__ import annotations

import gzip
import io
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load, save

from nasproxy._files import read_json, sha256_of
from nasproxy.bench.session import check_record
from nasproxy.compare.entry import Draw, Entry
from nasproxy.compare.measurement import gather, units_of
from nasproxy.compare.record import Comparison, Contestant, Replicate, TrueScore, load_comparison
from nasproxy.config import Augmentation, DataConfig, Recipe, RunConfig, read_toml
from nasproxy.data.dataset import Dataset, load_dataset
from nasproxy.data.idx import read_idx
from nasproxy.data.sources import open_source
from nasproxy.data.table import read_groups
from nasproxy.distill.base import DistillState, Synthetic
from nasproxy.distill.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from nasproxy.distill.ranking import RECORD_FILE, TENSORS_FILE, Ranking
from nasproxy.errors import ArtifactError, NasproxyError
from nasproxy.export.training import _read as _read_weights
from nasproxy.models.family import build_model
from nasproxy.progress import unwatched
from nasproxy.proxy.dataset import Manifest, ProxyDataset
from nasproxy.proxy.store import load_proxy, save_proxy
from nasproxy.report.record import load_records
from nasproxy.search.space import load_space
from nasproxy.study.page import render_html as study_html
from nasproxy.study.plan import StudyConfig, plan
from nasproxy.study.record import read_rows
from nasproxy.study.summary import summarize
from nasproxy.study.table import render_markdown as study_markdown
from nasproxy.training.expert import ExpertPlan, ExpertRecord, flat, load_experts, statistics
from nasproxy.training.metric import METRICS
from nasproxy.verify.session import _measured
from nasproxy.verify.training import TrainingRecords

Files = dict[str, bytes]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Target:
    """A loader: the files it reads, which of them is damaged, and how."""

    make: Callable[[Path], None]
    victim: str
    load: Callable[[Path], object]
    kind: str = "bytes"
    seal: Callable[[Files], None] | None = None
    """Makes the checksums right again, so that what lies behind them is reached."""


def make_proxy(folder: Path) -> None:
    images = torch.linspace(-1, 1, 4 * 4).view(4, 1, 2, 2)
    manifest = Manifest(
        kind="synthetic", method="datadam", dataset="digits", data_sha256="0" * 64, ipc=2,
        num_classes=2, class_names=("cat", "dog"), mean=(0.5,), std=(0.25,), image_size=(2, 2),
        augmentation=Augmentation(rotate=5), seed=3, seconds=1.5, created="2026-11-22T00:00:00",
        config={"data": DataConfig(dataset="digits").identity()},
        history=({"iteration": 0, "validation_accuracy": 0.5, "train_loss": 1.0},),
    )  # fmt: skip
    labels, soft = torch.tensor([0, 0, 1, 1]), torch.full((4, 2), 0.5)
    save_proxy(ProxyDataset(images, labels, manifest, soft, torch.tensor(0.1)), folder)


def seal_proxy(files: Files) -> None:
    manifest = json.loads(files["manifest.json"])
    manifest["tensors_sha256"] = sha256_of([files["proxy.safetensors"]])
    files["manifest.json"] = json.dumps(manifest).encode()


ARCHITECTURES = [{"family": "mlp", "hidden": [size]} for size in (2, 3, 4)]
RECORDS: dict[str, Any] = {
    "run.json": {
        "schema_version": 1, "command": "nasproxy search", "seed": 0,
        "config": {
            "data": {"dataset": "digits"}, "data_sha256": "0" * 64,
            "search": {"space": "small", "metric": "accuracy", "recipe": {"epochs": 60}},
            "verify": {"recipe": {"epochs": 3}},
        },
        "proxy": {"kind": "synthetic", "method": "datadam", "ipc": 10, "seconds": 30.0,
                  "class_names": ["cat", "dog"]},
        "space": {"size": 8, "feasible": 8}, "data": {"validation_class_counts": [5, 5]},
        "versions": {"python": "3.11", "hardware": "2 cores"}, "verify_workers": 2,
    },
    "candidates.json": [
        {"trial": trial, "architecture": architecture, "proxy_accuracy": 0.5 + trial / 10,
         "proxy_score": 0.5 + trial / 10, "num_params": 10 * trial, "num_flops": 9, "seconds": 4.0,
         "status": "complete", "origin": "uniform", "reason": None}
        for trial, architecture in enumerate(ARCHITECTURES)
    ],
    "verification.json": [
        {"trial": trial, "architecture": architecture, "selected_by": ["uniform"],
         "full_accuracy": [0.8, 0.9], "test_accuracy": [0.8, 0.9], "seconds": 9.0, "errors": []}
        for trial, architecture in enumerate(ARCHITECTURES)
    ],
    "timings.json": {"search_seconds": 20.0, "verify_seconds": 100.0},
    "trust.json": {
        "settings": {"metric": "accuracy", "full_epochs": 2},
        "architectures": [
            {"architecture": architecture, "proxy_scores": {"accuracy": [0.5]},
             "full_scores": {"accuracy": [0.6]}}
            for architecture in ARCHITECTURES
        ],
    },
    "calibration.json": {
        "architectures": [{"architecture": architecture} for architecture in ARCHITECTURES],
        "options": [
            {"changes": {}, "first_rho": 0.5, "rho": 0.5, "p_value": 0.3},
            {"changes": {"lr": 0.1}, "first_rho": -0.5, "rho": None, "p_value": None},
        ],
        "chosen": 0, "num_first": 3, "num_trainings": 9, "margin": 0.15, "recipe": {"epochs": 60},
    },
}  # fmt: skip


def make_run(folder: Path) -> None:
    for name, content in RECORDS.items():
        (folder / name).write_text(json.dumps(content))


def make_comparison(folder: Path) -> None:
    truth = tuple(
        TrueScore(architecture=architecture, factors={"hidden": 2}, num_params=9, num_flops=9,
                  full=(0.5, 0.6), seconds=(1.0, 1.0))
        for architecture in ARCHITECTURES
    )  # fmt: skip
    replicate = Replicate(
        name="draw 0", measures={"accuracy": (0.1, None, 0.3)}, seconds=(1.0,) * 3, setup_seconds=0
    )
    comparison = Comparison(
        dataset="digits", data={"dataset": "digits"}, space="small", space_size=8,
        metric="accuracy", truth_recipe={"epochs": 3}, truth=truth,
        contestants=(Contestant(name="random", kind="proxy", replicates=(replicate,)),),
    )  # fmt: skip
    (folder / "comparison.json").write_text(json.dumps(comparison.to_dict()))


def make_expert(folder: Path) -> None:
    architecture = {"family": "convnet", "depth": 1, "width": 2, "norm": "batch"}
    model = build_model(architecture, (1, 4, 4), 2)
    final = flat(list(model.parameters()))
    buffers = flat(statistics(model))
    content = save({"snapshots": torch.stack([final, final]), "final": final, "buffers": buffers})
    record = ExpertRecord(
        seed=0, dataset="digits", data={"sha256": "0"}, image_shape=(1, 4, 4), num_classes=2,
        num_parameters=len(final), validation_accuracy=0.5, seconds=1.0,
        tensors_sha256=sha256_of([content]),
        plan=ExpertPlan(architecture=architecture, recipe=Recipe(), num_periods=1, num_snapshots=2),
    )  # fmt: skip
    (folder / "expert-000.safetensors").write_bytes(content)
    (folder / "expert-000.json").write_text(json.dumps(record.to_dict()))


def seal_expert(files: Files) -> None:
    record = json.loads(files["expert-000.json"])
    record["tensors_sha256"] = sha256_of([files["expert-000.safetensors"]])
    files["expert-000.json"] = json.dumps(record).encode()


def use_experts(folder: Path) -> None:
    for expert in load_experts(folder):
        expert.network(CPU)
        expert.snapshot(0)


KEY = {"config": {"method": "datadam"}, "data": "0"}


def make_checkpoint(folder: Path) -> None:
    images = torch.zeros(2, 1, 2, 2)
    state = DistillState(images, torch.tensor([0, 1]), images, 3, {"step": torch.tensor(0.1)})
    history = [{"iteration": 3, "validation_accuracy": 0.5, "loss": 1.0}]
    best = Synthetic(images, torch.full((2, 2), 0.5), torch.tensor(0.1))
    checkpoint = Checkpoint(state, best, {"experts": ["a"]}, history, 1.5)
    save_checkpoint(folder / "checkpoint.safetensors", KEY, checkpoint)


def use_checkpoint(folder: Path) -> None:
    checkpoint = load_checkpoint(folder / "checkpoint.safetensors", KEY, CPU)
    assert 0 <= checkpoint.best_accuracy() <= 1 or not checkpoint.history
    assert checkpoint.state.iteration + checkpoint.seconds >= 0


SPACE = """family = "convnet"
[switches]
deep = [true, false]
[parameters]
depth = [1, 2]
width = [4, 8, 12]
norm = ["none", "batch"]
[conditions]
depth = { deep = [true] }
[fixed]
pooling = "avg"
"""
SETTINGS = """[data]
dataset = "digits"
augmentation = { rotate = 15.0, flip = true }
[search]
space = "convnet"
trials = 20
recipe = { epochs = 5 }
[verify]
top = 3
"""


def make_npz(folder: Path) -> None:
    images = np.arange(4 * 4 * 4, dtype=np.uint8).reshape(4, 4, 4)
    labels = np.array([0, 1, 0, 1])
    parts = [f"{part}_{what}" for part in ("train", "test") for what in ("images", "labels")]
    arrays = {name: images if name.endswith("images") else labels for name in parts}
    np.savez_compressed(folder / "x.npz", **arrays)


def idx_bytes() -> bytes:
    return b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (2, 3, 3)) + bytes(range(18))


def png(size: tuple[int, int] = (4, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, 7).save(buffer, "PNG")
    return buffer.getvalue()


TABLE_HEAD = "Image Name,Majority Vote Label,Number of Annotators who Selected SSA (Out of 7),"
TABLE = f"""{TABLE_HEAD}Partition
a.png,HP,1,train
b.png,SSA,6,train
c.png,HP,1,test
d.png,SSA,6,train
e.png,HP,2,train
"""


def make_mhist(folder: Path) -> None:
    (folder / "images").mkdir()
    for name in "abcde":
        (folder / "images" / f"{name}.png").write_bytes(png())
    (folder / "annotations.csv").write_text(TABLE)


def make_folder(folder: Path) -> None:
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        for index in range(4):
            (folder / label / f"{index}.png").write_bytes(png())


def read_all(kind: str, name: str = "", *, skip: bool = True) -> Callable[[Path], None]:
    def load(folder: Path) -> None:
        source = open_source(DataConfig(dataset=f"{kind}:{folder / name}", skip_unreadable=skip))
        for part in source.parts:
            source.read(part)
        source.fingerprint()

    return load


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content)  # type: ignore[return-value]


def settings(folder: Path) -> object:
    return RunConfig.parse(read_toml(folder / "run.toml"))


def groups(folder: Path) -> object:
    return read_groups(folder, "g.csv:who", ("a.png", "b.png"))


@cache
def digits() -> Dataset:
    return load_dataset(DataConfig(dataset="digits"))


NETWORK = {"family": "mlp", "hidden": [2]}
SCORES = {f"{split}_{name}": 0.5 for split in ("full", "test") for name in METRICS}


def training_records(folder: Path) -> TrainingRecords:
    return TrainingRecords(folder, data={"sha256": "0"}, recipe=Recipe(), seed=0)


def make_training(folder: Path) -> None:
    result = {**SCORES, "seconds": 1.0, "cpu_seconds": 1.0, "versions": {"torch": "2"}}
    path = training_records(folder).path(NETWORK, 0)
    training_records(folder).write(NETWORK, 0, result)
    path.rename(folder / "record.json")


def use_training(folder: Path) -> None:
    records = training_records(folder)
    (folder / "record.json").rename(records.path(NETWORK, 0))
    found = _measured({"architecture": NETWORK}, records, 1)
    refuse_unless(found["full_accuracy"], "counts as not there")
    assert 0 <= found["full_accuracy"][0] <= 1
    assert found["seconds"] >= 0


def refuse_unless(found: object, message: str) -> None:
    """Count what a loader would do anew as refused."""
    if not found:
        raise ArtifactError(message)


DRAW = Draw({"contestant": "random", "device": "cpu"})
ENTRY = Entry("random", "proxy", work=lambda *_: None, draws=(DRAW,), num_seeds=1,
              measure="accuracy")  # fmt: skip


def make_measurement(folder: Path) -> None:
    result = {"accuracy": 0.5, "auc": None, "loss": -1.0, "margin": 0.1, "seconds": 1.0,
              "cpu_seconds": 1.0, "error": "diverged: lr"}  # fmt: skip
    [unit] = units_of(ENTRY, 0, [NETWORK], folder)
    unit.keep(result)
    unit.records.path(NETWORK, 0).rename(folder / "record.json")


def use_measurement(folder: Path) -> None:
    units = units_of(ENTRY, 0, [NETWORK], folder)
    (folder / "record.json").rename(units[0].records.path(NETWORK, 0))
    refuse_unless(units[0].read(), "counts as not there")
    gather(ENTRY, units, {}, on_cpu=True)


def ranking(folder: Path) -> Ranking:
    return Ranking(digits(), folder, NETWORK, Recipe(), "el2n", num_networks=1, seed=0)


def make_ranking(folder: Path) -> None:
    content = save({"scores": torch.rand(len(digits().train))})
    (folder / TENSORS_FILE).write_bytes(content)
    record = {**ranking(folder)._key(), "seconds": 1.5, "sha256": sha256_of([content])}
    (folder / RECORD_FILE).write_text(json.dumps(record))


def seal_ranking(files: Files) -> None:
    record = json.loads(files[RECORD_FILE])
    files[RECORD_FILE] = json.dumps({**record, "sha256": sha256_of([files[TENSORS_FILE]])}).encode()


def use_ranking(folder: Path) -> None:
    scores = ranking(folder).scores(None, unwatched)
    assert scores.isfinite().all()
    assert len(scores.argsort()) == len(digits().train)
    assert ranking(folder).seconds() >= 0


def make_weights(folder: Path) -> None:
    model = build_model(NETWORK, (1, 2, 2), 2)
    (folder / "w.safetensors").write_bytes(save(dict(model.state_dict())))


def use_weights(folder: Path) -> None:
    path, model = folder / "w.safetensors", build_model(NETWORK, (1, 2, 2), 2)
    content = _read_weights(path, {"weights_sha256": sha256_of([path.read_bytes()])}, model)
    refuse_unless(content, "is trained again")
    model.load_state_dict(load(content or b""))


STUDY = StudyConfig(data=DataConfig(dataset="digits"))
STUDY_ROWS = {"training": "full/convnet-3-w32/study", "search": "full/search"}
MADE = {"versions": {"python": "3"}, "command": "nasproxy study", "recipe": {"epochs": 2}}


def make_study(folder: Path) -> None:
    networks = [
        {"architecture": architecture, "validation": [0.5, 0.6 + i / 10], "own": [0.9 - i / 10]}
        for i, architecture in enumerate(ARCHITECTURES)
    ]
    search = {**MADE, "num_seeds": 2, "networks": networks, "seconds": 2.0}
    scores = {f"{name}_{what}": 0.5 for name in METRICS for what in ("mean", "std")}
    training = {**MADE, **scores, "majority_class_rate": 0.1, "seconds_mean": 3.0, "num_seeds": 2,
                "num_params": 9, "runs": [{"curve": [0.5, 0.6]}] * 2}  # fmt: skip
    (folder / "training.json").write_text(json.dumps(training))
    (folder / "search.json").write_text(json.dumps(search))
    (folder / "other.json").write_text(json.dumps(search))


def use_study(folder: Path) -> None:
    names = {name: folder / f"{file}.json" for file, name in STUDY_ROWS.items()}
    names["random/search"] = folder / "other.json"
    rows = read_rows({row: names[row.name] for row in plan(STUDY) if row.name in names})
    summary = summarize(STUDY, rows, {})
    assert study_markdown(summary)
    assert study_html(summary, folder)


BENCH = Path(__file__).parents[2] / "results" / "bench-cpu" / "bench.json"


def make_bench(folder: Path) -> None:
    (folder / "bench.json").write_text(json.dumps(shortened(json.loads(BENCH.read_text()))))


def shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shortened(inner) for name, inner in value.items()}
    return [shortened(inner) for inner in value[:3]] if isinstance(value, list) else value


def use_bench(folder: Path) -> None:
    path = folder / "bench.json"
    check_record(path, read_json(path))


RUN_TARGETS = {
    name.removesuffix(".json"): Target(make_run, name, load_records, "json") for name in RECORDS
}
TARGETS: dict[str, Target] = {
    "manifest": Target(make_proxy, "manifest.json", load_proxy, "json"),
    "proxy": Target(make_proxy, "proxy.safetensors", load_proxy, seal=seal_proxy),
    **RUN_TARGETS,
    "comparison": Target(make_comparison, "comparison.json", load_comparison, "json"),
    "expert-record": Target(make_expert, "expert-000.json", use_experts, "json"),
    "expert": Target(make_expert, "expert-000.safetensors", use_experts, seal=seal_expert),
    "checkpoint": Target(make_checkpoint, "checkpoint.safetensors", use_checkpoint),
    "space": Target(
        write("s.toml", SPACE.encode()), "s.toml", lambda f: load_space(str(f / "s.toml")), "text"
    ),
    "settings": Target(write("run.toml", SETTINGS.encode()), "run.toml", settings, "text"),
    "npz": Target(make_npz, "x.npz", read_all("npz", "x.npz")),
    "idx": Target(write("x", idx_bytes()), "x", lambda f: read_idx(f / "x")),
    "idx-gz": Target(
        write("x.gz", gzip.compress(idx_bytes(), mtime=0)), "x.gz", lambda f: read_idx(f / "x.gz")
    ),
    "table": Target(make_mhist, "annotations.csv", read_all("mhist"), "text"),
    "groups": Target(write("g.csv", b"image,who\na.png,x\nb.png,y\n"), "g.csv", groups, "text"),
    "picture": Target(make_folder, "cat/1.png", read_all("folder", skip=False)),
    "training": Target(make_training, "record.json", use_training, "json"),
    "measurement": Target(make_measurement, "record.json", use_measurement, "json"),
    "ranking-record": Target(make_ranking, RECORD_FILE, use_ranking, "json"),
    "ranking": Target(make_ranking, TENSORS_FILE, use_ranking, seal=seal_ranking),
    "weights": Target(make_weights, "w.safetensors", use_weights),
    "study-training": Target(make_study, "training.json", use_study, "json"),
    "study-search": Target(make_study, "search.json", use_study, "json"),
    "bench": Target(make_bench, "bench.json", use_bench, "json"),
}

NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 10**18, 10**400, -(2**63), 1e308, -1e308, 1e-320, 0.5, "", "a",
    "../../etc/passwd", "/etc/passwd", "C:\\x", "a\0b", "\x1b[31m", "[red]", "é\u202e", "x" * 5000,
    [], {}, [[]], [None], [[[[[[[[]]]]]]]], {"": {}}, {"family": "mlp"}, [1] * 1000,
    float("nan"), float("inf"), "\ud800",
]  # fmt: skip
TOKENS = [
    *(b"[", b"]", b"{", b"}", b"=", b",", b'"', b"'", b"\n", b"\r", b"\0", b"#", b".", b"\xff"),
    *(b"\xef\xbb\xbf", b"nan", b"inf", b"-1", b"0", b"9" * 30, b"1e999", b"true", b"[parameters]"),
    *(b"../", b"/etc/passwd", b"C:\\", b"hidden.0", b"family", b"mlp", b"1979-05-27", b"x" * 3000),
]  # fmt: skip


def damage_bytes(content: bytes, chance: random.Random, tokens: list[bytes] | None = None) -> bytes:
    """Flip, delete, insert, truncate, repeat, splice."""
    body = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(body) + 1)
        length = chance.choice([1, 1, 2, 4, 8, 30])
        kind = chance.randrange(8 if tokens else 7)
        if kind == 0 and start < len(body):
            body[start] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del body[start : start + length]
        elif kind == 2:
            body[start:start] = chance.randbytes(length)
        elif kind == 3:
            body = body[: max(start, 1)] if chance.random() < 0.3 else body
        elif kind == 4:
            body[start:start] = body[start : start + length] * chance.choice([1, 2, 50])
        elif kind == 5:
            other = chance.randrange(len(body) + 1)
            body[start : start + length] = body[other : other + length]
        elif kind == 6:
            edge = chance.choice([b"\0", b"\xff", b"\x7f", b"\x80"])
            body[start : start + length] = edge * length
        elif tokens is not None:
            body[start : start + chance.choice([0, 0, length])] = chance.choice(tokens)
    return bytes(body)


def damage_json(value: Any, chance: random.Random) -> Any:
    """Replace, drop, add or repeat something at a random place of a JSON value."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(sorted(value))
        kind = chance.random()
        if kind < 0.08:
            return {k: v for k, v in value.items() if k != name}
        if kind < 0.14:
            extra = chance.choice([*string.ascii_letters, "", "\x1b[2J", "__class__", "x" * 999])
            return {**value, extra: value[name]}
        return {**value, name: damage_json(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        index = chance.randrange(len(value))
        if chance.random() < 0.2:
            return value[:index] + [value[index]] * chance.choice([0, 2, 3])
        return [*value[:index], damage_json(value[index], chance), *value[index + 1 :]]
    return chance.choice([*NASTY, value, [value], {"a": value}])


def damage(target: Target, content: bytes, chance: random.Random) -> bytes:
    """Return a damaged copy of the victim's content, as its kind suggests."""
    if target.kind == "json" and chance.random() < 0.75:
        value = json.loads(content)
        for _ in range(chance.randint(1, 3)):
            value = damage_json(value, chance)
        return json.dumps(value).encode()
    return damage_bytes(content, chance, TOKENS if target.kind in {"text", "json"} else None)


class Range:
    """A folder with a valid artifact, into which damaged content is put and loaded."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target, self.folder = target, folder
        target.make(folder)
        files = [path for path in folder.rglob("*") if path.is_file()]
        self.files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
        self.content = self.files[target.victim]

    def try_content(self, content: bytes) -> bool:
        """Load damaged content; say whether it was taken."""
        files = {**self.files, self.target.victim: content}
        if self.target.seal is not None:
            self.target.seal(files)
        for name in {self.target.victim, *(n for n in files if files[n] != self.files[n])}:
            (self.folder / name).write_bytes(files[name])
        return answered(lambda: self.target.load(self.folder))


def answered(load: Callable[[], object]) -> bool:
    """Load; any error must be ours, of a text that can be shown."""
    message = None
    try:
        load()
    except NasproxyError as error:
        message = str(error)
    assert message is None or 0 < len(message) < 5000
    assert message is None or message.encode()  # half a character could not be printed
    return message is None
