"""What a data set holds and what looks wrong with it: counts, duplicates, leaks."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from nasproxy.data.source import Part, RawPart

MAX_RATIO = 1.5
"""Of the largest to the smallest class of data that counts as balanced: MNIST's is 1.24, MHIST's
2.5, of whose images 71% are of one class."""
FEW_IMAGES = 10
_EXAMPLES = 5


def inspect(parts: dict[Part, RawPart], class_names: tuple[str, ...]) -> dict[str, Any]:
    """Count and compare the images of all parts.

    Args:
        parts: as read, the test part included: it is counted and compared, nothing is chosen.
        class_names: K names.

    Returns:
        `counts` a class and part, `duplicates`, and `findings`: sentences on what looks wrong.
    """
    counts = {
        part: np.bincount(raw.labels, minlength=len(class_names)) for part, raw in parts.items()
    }
    duplicates = find_duplicates(parts)
    return {
        "counts": [
            {"class": name, **{part: int(found[label]) for part, found in counts.items()}}
            for label, name in enumerate(class_names)
        ],
        "duplicates": duplicates,
        "findings": [
            *_about_classes(counts, class_names),
            *_about_duplicates(duplicates),
            *_about_groups(parts),
            *_about_pixels(parts),
            *_about_skipped(parts),
        ],
    }


def find_duplicates(parts: dict[Part, RawPart]) -> dict[str, Any]:
    """Find images with exactly the same pixels, by the hash of what was decoded.

    Returns:
        `within` parts and `across` two, each {name: number of surplus images}; the number of
        images `with_other_label` than their twin; and a few `examples`.
    """
    seen: dict[bytes, list[tuple[Part, int]]] = defaultdict(list)
    for part, raw in parts.items():
        for index in range(len(raw.images)):
            image = np.ascontiguousarray(raw.images[index])
            digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
            digest.update(image.data)
            seen[digest.digest()].append((part, index))
    within: Counter[str] = Counter()
    across: Counter[str] = Counter()
    other_label = 0
    examples: list[list[str]] = []
    for twins in seen.values():
        if len(twins) < 2:
            continue
        in_part = Counter(part for part, _ in twins)
        within.update({part: count - 1 for part, count in in_part.items() if count > 1})
        order = [part for part in parts if part in in_part]
        for position, first in enumerate(order):
            for second in order[position + 1 :]:
                across[f"{first}-{second}"] += in_part[second]
        other_label += len({int(parts[part].labels[index]) for part, index in twins}) > 1
        if len(examples) < _EXAMPLES:
            examples.append([_name(parts, part, index) for part, index in twins[:4]])
    return {
        "within": dict(within),
        "across": dict(across),
        "with_other_label": other_label,
        "examples": examples,
    }


def is_unbalanced(class_counts: Sequence[int]) -> bool:
    """Say whether the largest class has more than 1.5 times the images of the smallest.

    That holds wherever the largest class exceeds 1.5 times its even share, too.
    """
    return max(class_counts, default=0) > MAX_RATIO * min(class_counts, default=0)


def _name(parts: dict[Part, RawPart], part: Part, index: int) -> str:
    names = parts[part].names
    return f"{part}/{names[index] if names else index}"


def _about_classes(counts: dict[Part, Any], class_names: tuple[str, ...]) -> list[str]:
    found = []
    train = counts["train"]
    if is_unbalanced(train.tolist()):
        share = train.max() / train.sum()
        found.append(
            f"unbalanced: {share:.1%} of the training images are {class_names[train.argmax()]!r}; "
            "look at balanced accuracy and AUC, not at accuracy alone (--metric)"
        )
    few = [name for name, count in zip(class_names, train, strict=True) if count < FEW_IMAGES]
    if few:
        found.append(f"fewer than {FEW_IMAGES} training images of {_list(few)}")
    for part, numbers in counts.items():
        missing = [name for name, count in zip(class_names, numbers, strict=True) if not count]
        if missing:
            found.append(f"the {part} part has no image of {_list(missing)}")
    return found


def _about_duplicates(duplicates: dict[str, Any]) -> list[str]:
    found = [
        f"{count} {pair.split('-')[1]} images are also among the {pair.split('-')[0]} images: "
        "scores will be too good"
        for pair, count in duplicates["across"].items()
    ]
    found += [
        f"{count} images of the {part} part repeat another"
        for part, count in duplicates["within"].items()
    ]
    if duplicates["with_other_label"]:
        found.append(f"{duplicates['with_other_label']} pictures occur with different labels")
    return found


def _about_groups(parts: dict[Part, RawPart]) -> list[str]:
    found = []
    names = list(parts)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            shared = sorted(set(parts[first].groups or ()) & set(parts[second].groups or ()))
            if shared:
                found.append(f"{len(shared)} groups are in {first} and {second}: {_list(shared)}")
    return found


def _about_pixels(parts: dict[Part, RawPart]) -> list[str]:
    found = []
    channels, height, width = parts["train"].images.shape[1:]
    for part, raw in parts.items():
        if raw.images.shape[1:] != parts["train"].images.shape[1:]:
            c, h, w = raw.images.shape[1:]
            found.append(
                f"{part} images are {w} x {h} pixels, {c} channel(s); "
                f"train images {width} x {height}, {channels}"
            )
        flat = [
            index
            for index in range(len(raw.images))
            if (raw.images[index] == raw.images[index][:, :1, :1]).all()
        ]
        if flat:
            names = [_name(parts, part, index) for index in flat]
            found.append(f"{len(flat)} {part} images are of one colour: {_list(names)}")
    return found


def _about_skipped(parts: dict[Part, RawPart]) -> list[str]:
    return [
        f"{len(raw.skipped)} {part} images were left out as unreadable: {_list(list(raw.skipped))}"
        for part, raw in parts.items()
        if raw.skipped
    ]


def _list(names: list[str]) -> str:
    return ", ".join(names[:_EXAMPLES]) + (", ..." if len(names) > _EXAMPLES else "")
