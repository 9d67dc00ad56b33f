"""Studies with so many finished trials, made as copies of one that a driver has really finished."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CHUNK = 1000
PARTS = ("trial_params", "trial_values", "trial_user_attributes", "trial_system_attributes")


def multiply_rows(storage: Any, space: Any, points: Sequence[dict[str, Any]]) -> None:
    """Copy the rows of trial 0 in an Optuna database, one trial for each point."""
    from sqlalchemy import MetaData, insert, select

    backend = getattr(storage, "_backend", storage)
    backend.remove_session()
    tables = MetaData()
    tables.reflect(backend.engine)
    trials = tables.tables["trials"]
    with backend.engine.begin() as connection:
        first = dict(connection.execute(select(trials)).mappings().one())
        parts = {
            name: [
                dict(row)
                for row in connection.execute(select(tables.tables[name])).mappings()
                if row["trial_id"] == first["trial_id"]
            ]
            for name in PARTS
        }
        del first["trial_id"]
        for start in range(0, len(points), CHUNK):
            chunk = dict(enumerate(points[start : start + CHUNK], start=start + 1))
            connection.execute(insert(trials), [{**first, "number": n} for n in chunk])
            found = connection.execute(
                select(trials.c.number, trials.c.trial_id).where(trials.c.number >= start + 1)
            )
            keys = {number: key for number, key in found if number in chunk}
            for name, rows in parts.items():
                own = next(iter(tables.tables[name].primary_key)).name
                copies = [
                    {k: v for k, v in {**row, **_changes(row, space, point)}.items() if k != own}
                    | {"trial_id": keys[number]}
                    for number, point in chunk.items()
                    for row in rows
                ]
                if copies:
                    connection.execute(insert(tables.tables[name]), copies)


def _changes(row: dict[str, Any], space: Any, point: dict[str, Any]) -> dict[str, Any]:
    if "param_name" in row:
        name = row["param_name"]
        return {"param_value": float(space.choices[name].index(point[name]))}
    if row.get("key") == "architecture":
        return {"value_json": json.dumps(space.architecture(point))}
    return {}


def multiply_lines(journal: Path, space: Any, points: Sequence[dict[str, Any]]) -> None:
    """Copy the lines of trial 0 in an Optuna journal, one trial for each point."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    made = next(index for index, line in enumerate(lines) if "datetime_start" in line)
    of_trial = [lines[made], *(line for line in lines[made:] if line.get("trial_id") == 0)]
    with journal.open("a") as file:
        for number, point in enumerate(points, start=1):
            for line in _lines(of_trial, number, space, point):
                file.write(json.dumps(line, separators=(",", ":")) + "\n")


def _lines(
    of_trial: list[dict[str, Any]], number: int, space: Any, point: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for line in of_trial:
        changed = dict(line)
        if "trial_id" in line:
            changed["trial_id"] = number
        if "param_name" in line:
            name = line["param_name"]
            changed["param_value_internal"] = float(space.choices[name].index(point[name]))
        if "architecture" in line.get("user_attr", {}):
            changed["user_attr"] = {"architecture": space.architecture(point)}
        yield changed
