from __future__ import annotations

import numpy as np
import pytest
from image_files import decoded_calls


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Each test has a folder of decoded images of its own, which is not there yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NASPROXY_CACHE", str(folder))
    return folder


@pytest.fixture
def decodings(monkeypatch):
    """The names of the images that were decoded, in any order."""
    return decoded_calls(monkeypatch)


@pytest.fixture
def mhist(tmp_path):
    """Lays out a folder like MHIST's; arguments change its rows, columns and images."""
    from image_files import COLUMNS, encode, noise, write_table

    def lay_out(num=24, *, rows=None, columns=COLUMNS, groups=None, name="mhist", **table):
        root = tmp_path / name
        (root / "images").mkdir(parents=True)
        if rows is None:
            rows = [
                {
                    "Image Name": f"MHIST_{index:03d}.png",
                    "Majority Vote Label": ("HP", "SSA")[index % 2],
                    "Number of Annotators who Selected SSA (Out of 7)": str(index % 2 * 6),
                    "Partition": "test" if index % 4 >= 2 else "train",
                }
                for index in range(num)
            ]
            for index, row in enumerate(rows):
                (root / "images" / row["Image Name"]).write_bytes(encode(noise(index)))
        if groups is not None:
            columns = (*columns, "Patient")
            rows = [{**row, "Patient": groups(i)} for i, row in enumerate(rows)]
        write_table(root / "annotations.csv", columns, rows, **table)
        return root

    return lay_out


@pytest.fixture
def npz(tmp_path):
    """Writes an npz file like MedMNIST's; arguments replace or (None) leave out its arrays."""

    def write(save=np.savez, name="data.npz", **arrays):
        draw = np.random.default_rng(0)
        counts = {"train": 12, "val": 6, "test": 6}
        given = {
            f"{p}_images": draw.integers(0, 256, (n, 6, 5), np.uint8) for p, n in counts.items()
        }
        given |= {
            f"{p}_labels": (np.arange(n)[:, None] % 3).astype(np.uint8) for p, n in counts.items()
        }
        kept = {key: value for key, value in {**given, **arrays}.items() if value is not None}
        save(tmp_path / name, **kept)
        return tmp_path / name, kept

    return write
