"""The pictures of a proxy, made small enough that the page stays under 5 MB."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

CAPTIONS = {"start.png": "The proxy before distillation", "final.png": "The proxy"}
MAX_BYTES = 48 * 2**10
"""Of one picture: plotly.js 3.x alone takes 4.8 MB of the page (measured 2026-11-22)."""


@dataclass(frozen=True)
class Picture:
    """A PNG and what it shows."""

    caption: str
    png: bytes


def load_pictures(folder: Path, captions: Mapping[str, str] = CAPTIONS) -> list[Picture]:
    """Read the pictures that are there, by file name and caption; a damaged one is left out."""
    pictures = []
    for name, caption in captions.items():
        path = folder / name
        try:
            png = _shrink(path.read_bytes())
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue  # absent, or no picture: the numbers do not depend on it
        pictures.append(Picture(caption, png))
    return pictures


def _shrink(content: bytes) -> bytes:
    """Return a picture as PNG, its sides halved until it is small enough."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        picture = image if image.mode in ("RGB", "L") else image.convert("RGB")
        if image.format == "PNG" and len(content) <= MAX_BYTES:
            return content
        while True:
            buffer = io.BytesIO()
            picture.save(buffer, format="PNG", optimize=True)
            if buffer.tell() <= MAX_BYTES or max(picture.size) <= 64:
                return buffer.getvalue()
            picture = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))
