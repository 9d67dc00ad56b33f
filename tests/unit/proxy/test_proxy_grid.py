from __future__ import annotations

import torch
from PIL import Image

from nasproxy.data.dataset import Normalization
from nasproxy.proxy.grid import draw_grid, save_grid


def test_size_and_colours_of_a_known_picture(tmp_path):
    normalization = Normalization((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.2, 0.4, 0.6]])
    images = normalization.apply(colours.view(3, 3, 1, 1).expand(3, 3, 4, 6))
    grid = draw_grid(images, torch.tensor([1, 0, 1]), normalization)
    # 4x6 images are enlarged 8 times to 32x48; 2 columns, 2 rows, gaps of 2
    assert grid.size == (2 * 50 + 2, 2 * 34 + 2)
    assert grid.getpixel((0, 0)) == (255, 255, 255)
    assert grid.getpixel((2, 2)) == grid.getpixel((49, 33)) == (0, 255, 0)  # class 0
    assert grid.getpixel((50, 2)) == (255, 255, 255)
    assert grid.getpixel((60, 10)) == (255, 255, 255)  # class 0 has one image
    assert grid.getpixel((2, 36)) == (255, 0, 0)  # class 1
    assert grid.getpixel((52, 36)) == (51, 102, 153)
    save_grid(grid, tmp_path / "below" / "grid.png")
    with Image.open(tmp_path / "below" / "grid.png") as found:
        assert found.size == grid.size
        assert found.getpixel((52, 36)) == (51, 102, 153)


def test_pixels_keep_their_places():
    pixels = torch.arange(16.0).view(1, 1, 4, 4) / 16
    grid = draw_grid(pixels, torch.tensor([0]), Normalization((0.0,), (1.0,)))
    for row in range(4):
        for column in range(4):
            value = round(255 * (row * 4 + column) / 16)
            assert grid.getpixel((2 + column * 12 + 5, 2 + row * 12 + 5)) == (value,) * 3


def test_two_channels_are_grey_and_large_sets_are_cut():
    images = torch.zeros(25 * 25, 2, 50, 50)
    labels = torch.arange(25).repeat_interleave(25)
    grid = draw_grid(images, labels, Normalization((1.0, 0.0), (1.0, 1.0)))
    assert grid.size == (20 * 52 + 2, 20 * 52 + 2)
    assert grid.getpixel((10, 10)) == (255, 255, 255)
