from __future__ import annotations

import contextlib
import gzip
import re

import numpy as np
import pytest

from nasproxy.data.idx import read_idx
from nasproxy.errors import DataError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz"])
@pytest.mark.parametrize("array", [ARRAY, ARRAY.ravel(), ARRAY[:0]], ids=["3d", "1d", "empty"])
def test_reads_what_the_header_states(tmp_path, idx_bytes, name, array):
    content = idx_bytes(array)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    found = read_idx(tmp_path / name)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


FAULTS = {
    "empty file": (lambda b: b"", "not an idx file"),
    "wrong magic": (lambda b: b"\1" + b[1:], "not an idx file of bytes .header 01000803"),
    "floats": (lambda b: b"\0\0\x0d" + b[3:], "not an idx file of bytes .header 00000d03"),
    "no dimensions": (lambda b: b"\0\0\x08\0", "not an idx file"),
    "truncated": (lambda b: b[:-3], "should hold 24 bytes after its header, found 21"),
    "too long": (lambda b: b + b"!", "found more"),
    "huge claim": (lambda b: b[:4] + b"\xff" * 12, "claims .* bytes: more than"),
    "shape cut off": (lambda b: b[:13], "idx|shape|header"),
    "no shape": (lambda b: b[:4], "idx|shape|header"),
    "255 dimensions": (lambda b: b"\0\0\x08\xff" + bytes(1020), "images"),
    "zero times huge": (lambda b: b"\0\0\x08\4" + bytes(4) + b"\xff" * 12, "images"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("fault", FAULTS)
def test_refuses_damage_and_names_the_file(tmp_path, idx_bytes, fault, packed):
    change, message = FAULTS[fault]
    content = change(idx_bytes(ARRAY))
    path = tmp_path / ("images" + (".gz" if packed else ""))
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "absent", tmp_path / "absent.gz", tmp_path):
        with pytest.raises(DataError, match=re.escape(f"cannot read {path}")):
            read_idx(path)


def test_damaged_gzip_never_gives_other_pixels(tmp_path, idx_bytes):
    path = tmp_path / "images.gz"
    content = gzip.compress(idx_bytes(ARRAY), mtime=0)
    for position in range(len(content)):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        )
        with contextlib.suppress(DataError):
            np.testing.assert_array_equal(read_idx(path), ARRAY)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DataError):
            read_idx(path)
