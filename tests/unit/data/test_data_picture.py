from __future__ import annotations

import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from image_files import encode, noise
from PIL import EpsImagePlugin, Image, PngImagePlugin

from nasproxy.data.picture import UnreadableError, bombs_refused, decode, read_header

GREY, COLOUR = noise(1, 4, 5, channels=1), noise(2, 4, 5)
SIDEWAYS = (5, 6, 7, 8)


def palette_image(*transparent: int) -> Image.Image:
    """A 2x2 image of red, green, blue and black by palette; some entries can be seen through."""
    image = Image.new("P", (2, 2))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0])
    image.putdata([0, 1, 2, 3])
    if transparent:
        image.info["transparency"] = bytes(0 if i in transparent else 255 for i in range(4))
    return image


def pixel(image: np.ndarray, y: int, x: int) -> list[int]:
    return image[:, y, x].tolist()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM", "TGA", "WEBP"])
def test_grey_in_any_format(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encode(GREY, kind, **options)
    np.testing.assert_array_equal(decode(content, 1, None)[0], np.asarray(GREY))
    three = decode(content, 3, None)
    assert three.shape == (3, 4, 5)
    assert (three == np.asarray(GREY)).all()
    # a GIF's palette may hold colours, and WebP knows nothing else
    assert read_header(content) == (4, 5, kind not in {"GIF", "WEBP"})


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA", "WEBP", "JPEG2000"])
def test_colours_in_any_format(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encode(COLOUR, kind, **options)
    found = decode(content, 3, None)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, np.asarray(COLOUR).transpose(2, 0, 1))
    assert read_header(content) == (4, 5, False)


def test_colours_are_weighed_where_one_channel_is_wanted():
    rgb = np.asarray(COLOUR).astype(float)
    expected = rgb @ [0.299, 0.587, 0.114]  # ITU-R 601-2
    assert np.abs(decode(encode(COLOUR), 1, None)[0] - expected).max() <= 1


def test_jpeg_grey_and_colour():
    for image, grey in ((GREY, True), (COLOUR, False)):
        content = encode(image, "JPEG", quality=100, subsampling=0)
        assert read_header(content) == (4, 5, grey)
        found = decode(content, 1 if grey else 3, None).transpose(1, 2, 0).astype(int)
        assert np.abs(found - np.asarray(image).reshape(found.shape)).max() <= 4


def test_one_bit():
    image = Image.fromarray(np.array([[True, False], [False, True]]))
    content = encode(image)
    assert read_header(content) == (2, 2, True)
    assert decode(content, 1, None).tolist() == [[[255, 0], [0, 255]]]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_laid_over_white(mode):
    image = Image.new(mode, (3, 1))
    ink = (100,) if mode == "LA" else (100, 50, 0)
    image.putdata([(*ink, alpha) for alpha in (255, 0, 51)])
    for kind in ("PNG", "TIFF"):
        content = encode(image, kind)
        assert read_header(content).is_grey == (mode == "LA")
        found = decode(content, 3, None)
        expected = [
            [value, 255, round(255 - (255 - value) / 5)] for value in (*ink, *ink, *ink)[:3]
        ]
        assert found[:, 0].tolist() == expected


def test_palettes_become_colours():
    content = encode(palette_image())
    assert read_header(content) == (2, 2, False)
    found = decode(content, 3, None)
    colours = [pixel(found, y, x) for y in (0, 1) for x in (0, 1)]
    assert colours == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]
    grey = decode(content, 1, None)[0].astype(int)
    assert np.abs(grey - [[76, 150], [29, 0]]).max() <= 1


def test_transparent_entries_of_a_palette():
    content = encode(palette_image(0, 3))
    assert b"tRNS" in content
    found = decode(content, 3, None)
    colours = [pixel(found, y, x) for y in (0, 1) for x in (0, 1)]
    assert colours == [[255, 255, 255], [0, 255, 0], [0, 0, 255], [255, 255, 255]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_one_transparent_entry_of_a_palette(kind):
    content = encode(palette_image(), kind, transparency=1)
    assert pixel(decode(content, 3, None), 0, 1) == [255, 255, 255]
    assert pixel(decode(content, 3, None), 0, 0) == [255, 0, 0]


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 8, 9)), ("1", 0)])
def test_a_transparent_colour_of_an_image_without_alpha(mode, key):
    image = Image.new(mode, (2, 1), key)
    image.putpixel((1, 0), 1 if mode == "1" else key if mode == "L" else (1, 2, 3))
    if mode == "L":
        image.putpixel((1, 0), 100)
    found = decode(encode(image, transparency=key), 3, None)
    assert pixel(found, 0, 0) == [255, 255, 255]
    assert pixel(found, 0, 1) == {"L": [100] * 3, "RGB": [1, 2, 3], "1": [255] * 3}[mode]


def test_cmyk():
    image = Image.new("CMYK", (2, 2), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        content = encode(image, kind)
        assert read_header(content) == (2, 2, False)
        assert np.abs(decode(content, 3, None).astype(int)[:, 0, 0] - [255, 0, 0]).max() < 4
        assert abs(int(decode(content, 1, None)[0, 0, 0]) - 76) < 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_cut_to_eight(kind):
    deep = np.array([[0, 255, 256], [0x1234, 0xFF00, 0xFFFF]], np.uint16)
    content = encode(Image.fromarray(deep), kind)
    assert read_header(content) == (2, 3, True)
    assert decode(content, 1, None)[0].tolist() == [[0, 0, 1], [0x12, 0xFF, 0xFF]]


def test_thirty_two_bits_are_clipped():
    deep = np.array([[-5, 255, 256], [0x1234, 0xFFFF, 2**30]], np.int32)
    content = encode(Image.fromarray(deep), "TIFF")
    assert decode(content, 1, None)[0].tolist() == [[0, 0, 1], [0x12, 0xFF, 0xFF]]


@pytest.mark.parametrize("kind", ["TIFF", "PFM"])
def test_floating_point_is_refused(kind):
    image = Image.fromarray(np.zeros((2, 2), np.float32))
    content = encode(image, "PPM" if kind == "PFM" else kind)
    with pytest.raises(UnreadableError, match="no known range: store 8 or 16 bits"):
        read_header(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_that_a_camera_noted(kind, orientation):
    """Against the table of the EXIF standard: where row 0 and column 0 of the stored image are."""
    stored = Image.new("RGB", (24, 16), "white")
    stored.paste("black", (0, 0, 8, 8))  # a mark in the first rows and first columns
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(kind, {})
    content = encode(stored, kind, exif=exif, **options)
    seen = decode(content, 3, None)
    height, width = (24, 16) if orientation in SIDEWAYS else (16, 24)
    assert read_header(content) == (height, width, False)
    assert seen.shape == (3, height, width)
    rows, columns = np.nonzero(seen[0] < 128)
    corner = ("top" if rows.mean() < height / 2 else "bottom") + (
        " left" if columns.mean() < width / 2 else " right"
    )
    assert corner == {
        1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left",
        5: "top left", 6: "top right", 7: "bottom right", 8: "bottom left",
    }[orientation]  # fmt: skip


def test_of_a_moving_image_the_first_frame_counts():
    frames = [noise(index, 4, 4, channels=1) for index in range(3)]
    for kind in ("GIF", "TIFF", "PNG"):
        content = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(decode(content, 1, None)[0], np.asarray(frames[0]))


@pytest.mark.parametrize("size", [4, 5, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_squeezed_to_a_square(size, channels):
    image = noise(3, 9, 14)
    found = decode(encode(image), channels, size)
    assert found.shape == (channels, size, size)
    kept = image.convert("L" if channels == 1 else "RGB")
    expected = np.asarray(kept.resize((size, size), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(found, expected.reshape(size, size, -1).transpose(2, 0, 1))


def test_a_palette_is_not_squeezed_before_it_becomes_colours():
    image = palette_image().resize((16, 16), Image.Resampling.NEAREST)
    found = decode(encode(image), 3, 4)
    assert pixel(found, 0, 0) == [255, 0, 0]
    assert pixel(found, 3, 3) == [0, 0, 0]


def test_a_single_pixel():
    assert decode(encode(Image.new("L", (1, 1), 9)), 1, 4).tolist() == [[[9] * 4] * 4]


@pytest.mark.parametrize("work", [read_header, lambda c: decode(c, 3, None)], ids=["head", "body"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"not an image", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", b"GIF89a", bytes(1000), b"BM"],
    ids=repr,
)
def test_no_image_at_all(work, content):
    with pytest.raises(UnreadableError):
        work(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_a_file_that_ends_too_early(kind):
    content = encode(noise(4, 40, 40), kind)
    for share in (0.02, 0.2, 0.5, 0.9):
        with pytest.raises(UnreadableError) as caught:
            decode(content[: int(share * len(content))], 3, None)
        assert str(caught.value)
        assert "\n" not in str(caught.value)


def crafted_png(width: int, height: int) -> bytes:
    """A valid file of a few bytes that claims to be a large image."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 60_000, 2**31 - 1])
def test_decompression_bombs(side):
    with bombs_refused():
        for work in (read_header, lambda c: decode(c, 3, 32)):
            with pytest.raises(UnreadableError, match="claims more than 89,478,485 pixels"):
                work(crafted_png(side, side))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "JPEG", "BMP"])
def test_pillows_limit_is_kept(monkeypatch, kind):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99)
    with bombs_refused():
        assert read_header(encode(noise(0, 9, 11), kind))[:2] == (9, 11)
        with pytest.raises(UnreadableError, match="claims more than 99 pixels"):
            read_header(encode(noise(0, 10, 10), kind))


def test_a_bomb_of_text_in_a_png():
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 2**26, zip=True)
    with pytest.raises(UnreadableError):
        decode(encode(noise(0), pnginfo=info), 3, None)


def test_the_limit_is_known_in_threads_too_and_gone_afterwards():
    failed = []

    def work():
        try:
            decode(crafted_png(10_000, 10_000), 3, None)
        except UnreadableError as error:
            failed.append(str(error))

    before = warnings.filters[:]
    with bombs_refused():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(failed) == 1
    assert "claims more than" in failed[0]
    assert warnings.filters == before


def test_no_other_program_is_started_by_an_image(monkeypatch):
    """PostScript is a program: Pillow would hand it to Ghostscript."""

    def started(*args, **kwargs):
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    content = encode(noise(0), "EPS")
    for work in (read_header, lambda c: decode(c, 3, None)):
        with pytest.raises(UnreadableError, match="not an image of a known format"):
            work(content)


@pytest.mark.parametrize("header", [b"P5 0 4 255\n", b"P6 4 0 255\n", b"P5 0 0 255\n"])
def test_images_without_pixels(header):
    with pytest.raises(UnreadableError):
        read_header(header + bytes(100))


def test_reasons_are_short_and_of_one_line():
    content = encode(noise(5, 40, 40))
    reasons = []
    for position in range(0, len(content), 7):
        damaged = content[:position] + b"\xff" + content[position + 1 :]
        try:
            decode(damaged, 3, None)
        except UnreadableError as error:
            reasons.append(str(error))
    assert len(reasons) > 100
    assert all(0 < len(reason) <= 200 and "\n" not in reason for reason in reasons)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_other_colour_spaces(mode, channels):
    image = Image.new("RGB", (2, 2), "white").convert(mode)
    content = encode(image, "TIFF")
    assert not read_header(content).is_grey
    assert decode(content, channels, None).min() > 250
