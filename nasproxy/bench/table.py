"""The tables of a bench, as cells of text and as Markdown."""

from __future__ import annotations

from typing import Any

from nasproxy.report.table import Table
from nasproxy.report.wording import architecture_name

NO_VALUE = ""
QUICK_NOTE = "Sizes of a smoke test: no figure here means anything."


def all_tables(record: dict[str, Any]) -> list[Table]:
    """Return the tables of the sections there are."""
    tables = [
        key_table(record),
        evaluation_table(record),
        full_table(record),
        throughput_table(record),
        growth_table(record),
        end_to_end_table(record),
        provenance_table(record),
    ]
    return [table for table in tables if table.rows]


def key_table(record: dict[str, Any]) -> Table:
    """List what a bench is run for: value, lowest and highest of the repeats, and their number."""
    rows = [
        *_speed_rows(record),
        *_distillation_rows(record),
        *_machine_rows(record),
    ]
    return Table("Key figures", ("figure", "median", "lowest to highest", "n"), rows)


def evaluation_table(record: dict[str, Any]) -> Table:
    """Compare the engine with the other ways, architecture by architecture."""
    header = ("network", "in a worker, s", "plain loop, s", "the study's way, s",
              "ratio to plain", "lowest to highest", "to the study")  # fmt: skip
    candidates = record["evaluation"]["candidates"] if "evaluation" in record else []
    rows = [
        (
            name_network(one["architecture"]),
            _number(one["seconds_in_worker"]["median"]),
            _number(one["seconds_plain"]["median"]),
            _number(one["seconds_study"]["median"]) if "seconds_study" in one else NO_VALUE,
            *_spread(one["ratio"])[:2],
            _number(one["to_study"]["median"]) if "to_study" in one else NO_VALUE,
        )
        for one in candidates
    ]
    return Table("Evaluation of candidates, augmentation none", header, rows)


def full_table(record: dict[str, Any]) -> Table:
    """List the seconds of an epoch over all training images."""
    header = ("network", "one worker", "all workers, each", "plain loop", "the study's way",
              "ratio to plain", "to the study")  # fmt: skip
    rows = []
    full = record.get("full_training")
    for one in [*full["networks"], full["study"]] if full else []:
        seconds = one["epoch_seconds"]
        rows.append(
            (
                name_network(one["architecture"]),
                *(
                    _number(seconds[side]["median"]) if side in seconds else NO_VALUE
                    for side in ("one_worker", "all_workers", "plain", "study")
                ),
                _number(one["to_plain"]["median"]),
                _number(one["to_study"]["median"]) if "to_study" in one else NO_VALUE,
            )
        )
    return Table("Full data, seconds an epoch", header, rows)


def throughput_table(record: dict[str, Any]) -> Table:
    """List GFLOP/s and shares of the matrix product, one thread."""
    header = ("network", "train", "share", "compiled", "share", "evaluate", "share")
    rows = []
    for one in record["throughput"]["networks"] if "throughput" in record else []:
        cells = [f"width {one['width']}, norm {one['norm']}"]
        for kind in ("train", "train_compiled", "evaluate"):
            if kind in one:
                cells += [
                    _number(one[kind]["gflops"]["median"]),
                    f"{one[kind]['share']['median']:.0%}",
                ]
            else:
                cells += [NO_VALUE, NO_VALUE]
        rows.append(tuple(cells))
    return Table("ConvNet-3, GFLOP/s of one thread", header, rows)


def growth_table(record: dict[str, Any]) -> Table:
    """List the seconds of a candidate with one thing varied at a time."""
    rows = []
    growth = record.get("growth", {})
    for axis in ("width", "depth", "ipc", "candidates"):
        if axis in growth:
            seconds = growth[axis]["seconds"]
            power = growth[axis]["exponent"]
            rows.append(
                (
                    axis,
                    ", ".join(f"{size}: {_number(one['median'])}" for size, one in seconds.items()),
                    NO_VALUE if power is None else f"{power:.2f}",
                )
            )
    scaling = record.get("scaling", {}).get("candidates_per_minute")
    if scaling:
        cells = ", ".join(f"{count}: {_number(rate)}" for count, rate in scaling.items())
        rows.append(("workers (candidates a minute)", cells, NO_VALUE))
    return Table("How cost grows, seconds", ("varied", "median seconds", "power"), rows)


def end_to_end_table(record: dict[str, Any]) -> Table:
    """Compare training every network of a space in full with a search on a proxy."""
    header = ("space", "networks", "epochs in full", "full search, h", "ratio", "95% interval",
              "distilling may take, h")  # fmt: skip
    spaces = record["end_to_end"]["spaces"] if "end_to_end" in record else {}
    rows = [
        (
            name,
            f"{one['num_candidates']:,}",
            str(one["full_epochs"]),
            _number(one["full_search_seconds"] / 3600),
            _number(one["ratio"]),
            NO_VALUE if one["interval"] is None else " to ".join(map(_number, one["interval"])),
            _hours_left(one["distilling_may_take_seconds"]),
        )
        for name, found in spaces.items()
        for one in found["searches"]
    ]
    return Table("End to end: all trained in full, or on a proxy and the best verified",
                 header, rows)  # fmt: skip


def provenance_table(record: dict[str, Any]) -> Table:
    """Say when and how every section was measured."""
    rows = [
        (name, made["date"], f"{made['seconds']:.0f}", _load(made), made["command"])
        for name, made in record["sections"].items()
    ]
    return Table("Sections", ("section", "date", "seconds", "load", "command"), rows)


def made_with(record: dict[str, Any]) -> str:
    """Name hardware and versions."""
    sections = record["sections"].values()
    lines = {
        ", ".join(f"{name} {v}" for name, v in made["versions"].items() if name != "hardware")
        for made in sections
    }
    return "; ".join([record["hardware"], *sorted(lines)])


def notes(record: dict[str, Any]) -> list[str]:
    """Say what is to be known about the figures."""
    data = record["data"]
    shape = "x".join(str(side) for side in data["image_shape"])
    found = [f"Data: {data['dataset']}, {data['num_train']:,} training images of {shape}."]
    if data["note"]:
        found.append(f"{data['note'].capitalize()}.")
    if record["quick"]:
        found.insert(0, QUICK_NOTE)
    if "evaluation" in record:
        found.append(f"Evaluation: {record['evaluation']['fairness']}.")
    if "full_training" in record:
        found.append(f"Full training: {record['full_training']['meaning']}.")
    if "end_to_end" in record:
        found.append(f"End to end: {record['end_to_end']['meaning']}.")
    if "peak_memory_bytes" in record:
        found.append(f"Memory: {record['peak_memory_bytes']['meaning']}.")
    return found


def render_markdown(record: dict[str, Any]) -> str:
    """Render a bench."""
    parts = [
        "# nasproxy bench",
        made_with(record),
        "\n".join(f"- {note}" for note in notes(record)),
        *(_markdown(table) for table in all_tables(record)),
    ]
    return "\n\n".join(parts) + "\n"


def name_network(architecture: dict[str, Any]) -> str:
    """Name an architecture: `convnet, depth 3, width 16, norm batch`."""
    wanted = [name for name in ("depth", "width", "norm", "hidden") if name in architecture]
    return f"{architecture['family']}, {architecture_name(architecture, wanted)}"


def _speed_rows(record: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if "evaluation" in record:
        found = record["evaluation"]
        for name, part in (("none", found), ("per image/batch", found["augmented"])):
            rows.append(
                (f"evaluation against a plain loop, augmentation {name}", *_spread(part["ratio"]))
            )
        if "to_study" in found:
            name = "evaluation against the study's way, augmentation none"
            rows.append((name, *_spread(found["to_study"])))
        for side, name in (("ours", "ours"), ("plain", "plain"), ("study", "the study's way")):
            if side in found:
                seconds = _spread(found[side]["seconds_per_candidate"])
                rows.append((f"seconds a candidate, {name}", *seconds))
    if "full_training" in record:
        for one in record["full_training"]["networks"]:
            name = f"full epoch against a plain loop, {name_network(one['architecture'])}"
            rows.append((name, *_spread(one["to_plain"])))
            rows.append((f"{name}, one worker", *_spread(one["one_worker_to_plain"])))
        study = record["full_training"]["study"]
        name = f"full epoch against the study's way, {name_network(study['architecture'])}"
        rows.append((name, *_spread(study["to_study"])))
        rows.append((f"{name}, one worker", *_spread(study["one_worker_to_study"])))
    return rows


def _distillation_rows(record: dict[str, Any]) -> list[tuple[str, ...]]:
    walls = record["distillation"]["wall"] if "distillation" in record else {}
    return [
        (
            "PAD, seconds an iteration"
            if name == "pad"
            else f"DataDAM, width {name}, seconds an iteration",
            *_spread(found),
        )
        for name, found in walls.items()
    ]


def _machine_rows(record: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if "gemm" in record:
        gemm = record["gemm"]
        rows.append(("matrix product, one thread, GFLOP/s", *_spread(gemm["one_thread"])))
        name = f"matrix product, {gemm['threads']} threads, GFLOP/s"
        rows.append((name, *_spread(gemm["all_threads"])))
    if "overhead" in record:
        name = "Optuna and records, milliseconds a trial"
        rows.append((name, *_spread(record["overhead"]["milliseconds"])))
    for count, found in record.get("scaling", {}).get("speedup", {}).items():
        if count != "1":
            rows.append((f"{count} workers against one", *_spread(found)))
    for name, found in record.get("startup_seconds", {}).items():
        rows.append((f"start-up, {name.replace('_', ' ')}, seconds", *_spread(found)))
    for name in ("driver", "worker"):
        if "peak_memory_bytes" in record:
            mib = record["peak_memory_bytes"][name] / 2**20
            rows.append((f"peak memory, {name}, MiB", f"{mib:,.0f}", NO_VALUE, NO_VALUE))
    return rows


def _spread(found: dict[str, Any]) -> tuple[str, str, str]:
    between = f"{_number(found['min'])} to {_number(found['max'])}"
    return _number(found["median"]), between, str(found["n"])


def _number(value: float) -> str:
    """Render three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def _hours_left(seconds: float | None) -> str:
    """Render what a goal leaves for distilling."""
    return "out of reach" if seconds is None else _number(seconds / 3600)


def _load(made: dict[str, Any]) -> str:
    return NO_VALUE if made["load_average"] is None else f"{made['load_average']:.1f}"


def _markdown(table: Table) -> str:
    rows = [table.header, tuple("---" for _ in table.header), *table.rows]
    lines = ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return f"## {table.title}\n\n" + "\n".join(lines)
