"""Small image files, and folders of them."""

from __future__ import annotations

import csv
import io
import threading
from pathlib import Path

import numpy as np
from PIL import Image

import nasproxy.data.listing
from nasproxy.config import DataConfig

COLUMNS = (
    "Image Name",
    "Majority Vote Label",
    "Number of Annotators who Selected SSA (Out of 7)",
    "Partition",
)


def noise(seed: int, height: int = 6, width: int = 6, channels: int = 3) -> Image.Image:
    """An image unlike any other: RGB, or grey where one channel is asked for."""
    shape = (height, width, 3) if channels == 3 else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write_images(folder: Path, count: int, *, seed: int, name: str = "{}.png", **options) -> Path:
    """Put numbered images into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (folder / name.format(index)).write_bytes(encode(noise(1000 * seed + index, **options)))
    return folder


def write_classes(root: Path, count: int, *names: str, seed: int = 0, **options) -> Path:
    """Put a folder of images per class into a folder."""
    for position, name in enumerate(names or ("ant", "bee")):
        write_images(root / name, count, seed=100 * seed + position, **options)
    return root


def write_table(path: Path, columns, rows, *, start="", end="\r\n", encoding="utf-8") -> None:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator=end)
    table.writeheader()
    table.writerows(rows)
    path.write_bytes((start + text.getvalue()).encode(encoding))


def folder_config(root: Path, **settings) -> DataConfig:
    settings = {"validation_fraction": 0.25, **settings}
    return DataConfig(dataset=f"folder:{root}", **settings)


def decoded_calls(monkeypatch) -> list[int]:
    """Count what is decoded from now on; the list grows by the size of each file's content."""
    calls: list[int] = []
    lock, real = threading.Lock(), nasproxy.data.listing.decode

    def counted(content, channels, size):
        with lock:
            calls.append(len(content))
        return real(content, channels, size)

    monkeypatch.setattr(nasproxy.data.listing, "decode", counted)
    return calls
