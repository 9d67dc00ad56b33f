"""The pictures of a proxy, made small enough that the page stays under 5 MB."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nasproxy._files import check_file
from nasproxy.errors import ArtifactError

CAPTIONS = {
    "start.png": "The proxy before distillation",
    "final.png": "Images that candidates trained on",
}
MAX_BYTES, MAX_BYTES_TOGETHER = 256 * 2**10, 1536 * 2**10
"""Of one picture, and of all: in a page they grow by a third, and plotly.js takes 2.0 MB."""

MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 32 * 10**6


@dataclass(frozen=True)
class Picture:
    """A PNG and what it shows."""

    caption: str
    png: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels: what the PNG's first chunk says."""
        width, height = struct.unpack(">II", self.png[16:24])
        return width, height


def load_pictures(folder: Path, captions: Mapping[str, str] = CAPTIONS) -> list[Picture]:
    """Read the pictures that are there, by file name and caption; a damaged one is left out."""
    pictures = []
    limit = min(MAX_BYTES, MAX_BYTES_TOGETHER // max(1, len(captions)))
    for name, caption in captions.items():
        path = folder / name
        try:
            check_file(path, MAX_FILE_BYTES)
            png = _shrink(path.read_bytes(), limit)
        except (OSError, ValueError, SyntaxError, ArtifactError, Image.DecompressionBombError):
            continue  # absent, or no picture: the numbers do not depend on it
        pictures.append(Picture(caption, png))
    return pictures


def _shrink(content: bytes, limit: int) -> bytes:
    """Return a picture as PNG, its sides halved until it takes no more bytes than the limit."""
    # no other format: for PostScript, Pillow would run Ghostscript on what a stranger wrote
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("too many pixels")
        image.load()
        picture = image if image.mode in ("RGB", "L") else image.convert("RGB")
        if image.format == "PNG" and len(content) <= limit:
            return content
        while True:
            buffer = io.BytesIO()
            picture.save(buffer, format="PNG", optimize=True)
            if buffer.tell() <= limit or max(picture.size) <= 64:
                return buffer.getvalue()
            picture = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))
