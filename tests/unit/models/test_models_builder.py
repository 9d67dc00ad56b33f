"""Networks that a function of the user's makes, and every way in which it can be none."""

from __future__ import annotations

import hashlib
import json
from math import prod

import pytest
import torch
from torch import nn

from nasproxy import permission
from nasproxy._random import named_generator
from nasproxy.config import Augmentation, Recipe
from nasproxy.errors import ConfigError, SearchSpaceError
from nasproxy.models.builder import check_code, load_builder
from nasproxy.models.family import build_model, check_architecture
from nasproxy.scores.cost import measure_cost
from nasproxy.training.network import TrainingSet, train_network

SHAPE = (3, 8, 9)
NETS = """
from math import prod
from pathlib import Path
import torch
from torch import nn

Path(__file__).with_name("imported").touch()
HEADER = "no function"

class Scaled(nn.Sequential):
    def __init__(self, *layers):
        super().__init__(*layers)
        self.scale = nn.Parameter(torch.randn(3))

def make(*, image_shape, num_classes, width=4, layers=()):
    with Path(__file__).with_name("made").open("a") as file:
        file.write(f"{width}\\n")
    last = nn.Linear(width, num_classes)
    nn.init.zeros_(last.bias)
    size = prod(image_shape)
    return Scaled(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), last)

def unfit(image_shape, num_classes, **settings):
    if settings:
        raise ValueError(f"no {settings}\\nsecond line")
    return None

def counting(image_shape, num_classes):
    sizes = [int(size.item()) for size in torch.linspace(2, 4, 3)]
    first = nn.Linear(prod(image_shape), sizes[-1])
    return nn.Sequential(nn.Flatten(), first, nn.Linear(4, num_classes))

def fixed(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(image_shape), 10))

def leaving(image_shape, num_classes):
    raise SystemExit

class Pair(nn.Linear):
    def forward(self, images):
        logits = super().forward(images.flatten(1))
        return logits, logits

def pair(image_shape, num_classes):
    return Pair(prod(image_shape), num_classes)

class Viewing(nn.Module):
    def __init__(self, channels, size, num_classes):
        super().__init__()
        self.convolution = nn.Conv2d(channels, 4, 3, padding=1)
        self.last = nn.Linear(4 * size, num_classes)

    def forward(self, images):
        features = self.convolution(images)
        return self.last(features.view(len(features), -1))

def dropping(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(prod(image_shape), num_classes))

def viewing(image_shape, num_classes):
    return Viewing(image_shape[0], prod(image_shape[1:]), num_classes)
"""


def of(function: str = "make", **settings: object) -> dict[str, object]:
    return {"family": "builder", "builder": f"nets:{function}", **settings}


@pytest.fixture
def nets(write_module, tmp_path):
    """The module above, which may be imported."""
    permission.allow_code(tmp_path)
    return write_module(NETS)


@pytest.mark.parametrize(
    "act",
    [
        lambda: check_architecture(of(), SHAPE),
        lambda: build_model(of(), SHAPE, 5),
        lambda: measure_cost(of(), SHAPE, 5),
        lambda: check_code([of()]),
        lambda: load_builder("nets:make"),
    ],
)
def test_nothing_is_imported_unless_it_is_allowed(act, write_module, tmp_path, monkeypatch):
    write_module(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SearchSpaceError, match=r"'nets:make' is code .* --allow-code"):
        act()
    assert not (tmp_path / "imported").exists()
    permission.allow_code(tmp_path)
    act()
    assert (tmp_path / "imported").exists()


def test_the_network_is_what_the_function_makes(nets):
    model = build_model(of(width=6), SHAPE, 5, named_generator(0))
    assert type(model).__name__ == "Scaled"
    assert model(torch.zeros(2, *SHAPE)).shape == (2, 5)
    size = prod(SHAPE)
    cost = measure_cost(of(width=6), SHAPE, 5)
    assert cost.num_params == size * 6 + 6 + 6 * 5 + 5 + 3
    assert cost.num_flops == 2 * (size * 6 + 6 * 5)


def test_its_own_initialization_stands_and_the_generator_alone_decides(nets):
    def weights(seed: int) -> list[torch.Tensor]:
        return list(build_model(of(), SHAPE, 5, named_generator(seed)).parameters())

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(map(torch.equal, first, weights(0)))
    other = weights(1)
    assert not torch.equal(first[0], other[0])  # a parameter that is no layer's
    assert not torch.equal(first[1], other[1])
    assert not first[-1].any()


def test_constructors_may_compute_with_numbers(nets):
    """As those do that spread a rate over layers; on the meta device there are no numbers."""
    check_architecture(of("counting"), SHAPE)
    assert measure_cost(of("counting"), SHAPE, 5).num_params == prod(SHAPE) * 4 + 4 + 4 * 5 + 5


def test_a_network_that_takes_views_can_be_trained(nets):
    images = torch.randn(6, *SHAPE, generator=named_generator(0))
    data = TrainingSet(images, torch.arange(6) % 3, 3, Augmentation())
    model = train_network(of("viewing"), data, Recipe(epochs=1, batch_size=3), 0)
    assert isinstance(model.convolution, nn.Conv2d)


def test_an_architecture_is_tried_out_once(nets):
    for _ in range(3):
        check_architecture(of(width=4), SHAPE)
        check_architecture(of(width=5), SHAPE)
    assert nets.with_name("made").read_text() == "4\n5\n"


UNFIT = {
    "raises": (of("unfit", depth=9), r"unfit' with .'depth': 9. .*: ValueError: no .* \(line 2"),
    "leaves": (of("leaving"), "leaving' .* SystemExit: no message"),
    "no module": (of("unfit"), "'nets:unfit' must return a torch.nn.Module, got NoneType"),
    "fixed classes": (of("fixed"), r"fixed' .* \(N, num_classes\), got \(2, 10\) for 2 images"),
    "two outputs": (of("pair"), r"pair' .* must return logits .* got tuple"),
    "unknown setting": (of(colour=3), "TypeError: make.* unexpected keyword argument 'colour'"),
    "the data's": (of(num_classes=3), "num_classes is given by the data"),
    "no function": ({"family": "builder", "builder": "nets"}, "must be MODULE:FUNCTION.* 'nets'"),
    "a path": ({"family": "builder", "builder": "../nets:make"}, "got '../nets:make'"),
    "relative": ({"family": "builder", "builder": ".nets:make"}, "got '.nets:make'"),
    "a call": ({"family": "builder", "builder": "nets:make()"}, r"got 'nets:make\(\)'"),
    "long": ({"family": "builder", "builder": "n" * 300 + ":make"}, "300|characters"),
    "no builder": ({"family": "builder"}, "builder"),
    "a number": ({"family": "builder", "builder": 3}, "builder.builder must be a valid string"),
    "no hash": (of(builder_sha256="abc"), "builder_sha256 .*'abc'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", UNFIT)
def test_what_is_no_network_does_not_fit(fault, nets):
    architecture, message = UNFIT[fault]
    with pytest.raises(ConfigError, match=message) as caught:
        check_architecture(architecture, SHAPE)
    assert "\n" not in str(caught.value)


def test_images_that_the_network_cannot_take(nets, write_module):
    text = "from torch import nn\ndef make(image_shape, num_classes):\n    return nn.Linear(3, 2)\n"
    write_module(text, "small")
    architecture = {"family": "builder", "builder": "small:make"}
    with pytest.raises(ConfigError, match=r"'small:make' .* images \(3, 8, 9\): RuntimeError"):
        check_architecture(architecture, SHAPE)


MISSING = {
    "module": ("nats:make", None, "'nats' .* neither in .* nor installed: give the command in"),
    "package": ("nats.nets:make", None, "'nats.nets' .* neither in .* nor installed"),
    "no package": ("broken.nets:make", "", "'broken.nets' .* neither in .* nor installed"),
    "broken package": ("broken.nets:make", "1 / 0", "'broken.nets' .* ZeroDivisionError"),
    "function": ("broken:mak", "def make(): ...", "unknown function .*'mak'.* did you mean 'make'"),
    "no function": ("broken:make", "make = 3", "'broken:make' must be a function, got int 3"),
    "raises": ("broken:make", "x = 1\n1 / 0", r"broken.py failed: Zero.* zero \(line 2 of"),
    "imports": ("broken:make", "import nowhere_", "failed: ModuleNotFoundError: .*'nowhere_'"),
    "leaves": ("broken:make", "raise SystemExit", "failed: SystemExit"),
    "syntax": ("broken:make", "def make(:", "failed: SyntaxError"),
}


@pytest.mark.parametrize("fault", MISSING)
def test_what_cannot_be_imported(fault, write_module, tmp_path):
    name, text, message = MISSING[fault]
    permission.allow_code(tmp_path)
    if text is not None:
        write_module(text, "broken")
    for act in (lambda: load_builder(name), lambda: check_code([of() | {"builder": name}])):
        with pytest.raises(SearchSpaceError, match=message) as caught:
            act()
        assert "\n" not in str(caught.value)


def test_other_code_than_before_is_not_imported(nets):
    found = hashlib.sha256(nets.read_bytes()).hexdigest()
    with pytest.raises(SearchSpaceError, match=f"sha256 {found[:12]} instead of {'0' * 12}"):
        build_model(of(builder_sha256="0" * 64), SHAPE, 5)
    assert not nets.with_name("imported").exists()
    assert load_builder("nets:make", found).sha256 == found
    check_code([of(builder_sha256=found), {"family": "convnet"}, {}])
    build_model(json.loads(json.dumps(of(builder_sha256=found))), SHAPE, 5)


def test_dropout_is_drawn_from_the_seed_alone(nets):
    images = torch.randn(12, *SHAPE, generator=torch.Generator().manual_seed(0))
    data = TrainingSet(images, torch.arange(12) % 5, 5, Augmentation())
    recipe = Recipe(epochs=2, batch_size=4)

    def weight(seed: int) -> torch.Tensor:
        torch.rand(1)  # what the process has drawn before does not matter
        return train_network(of("dropping"), data, recipe, seed)[-1].weight

    before = torch.get_rng_state()
    assert torch.equal(weight(0), weight(0))
    assert not torch.equal(weight(0), weight(1))
    torch.set_rng_state(before)
