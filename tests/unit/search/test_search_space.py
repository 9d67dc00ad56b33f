from __future__ import annotations

from collections import Counter

import pytest

from nasproxy.config import read_toml
from nasproxy.errors import ConfigError, SearchSpaceError
from nasproxy.search.space import load_space, point_key, shipped_spaces


@pytest.fixture
def write(tmp_path):
    def to_file(text: str) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return str(path)

    return to_file


@pytest.mark.parametrize(
    ("name", "size", "shape", "feasible"),
    [
        ("convnet", 140, (1, 28, 28), 140),
        ("convnet", 140, (1, 8, 8), 105),  # depth 4 leaves nothing of 8x8
        ("convnet720", 720, (3, 32, 32), 720),
        ("convnet720", 720, (1, 8, 8), 600),  # without pooling, depth 4 still fits
        ("convnet-mhist", 300, (3, 224, 224), 300),
        ("convnet-mhist", 300, (3, 64, 64), 240),  # depth 7 leaves nothing of 64x64
        ("mlp20", 20, (1, 28, 28), 20),
    ],
)
def test_shipped_spaces(name, size, shape, feasible):
    space = load_space(name)
    points = list(space.points())
    assert len({point_key(point) for point in points}) == len(points) == size
    assert len({str(space.architecture(point)) for point in points}) == size
    assert len(space.feasible_points(shape)) == feasible
    assert space.name == name
    assert name in shipped_spaces()


def test_conditions_of_the_mlps():
    space = load_space("mlp20")
    lengths = Counter(len(space.architecture(point)["hidden"]) for point in space.points())
    assert lengths == {2: 4, 4: 16}
    assert all("num_hidden" not in space.architecture(point) for point in space.points())
    assert all(("hidden.3" in p) == (p["num_hidden"] == 4) for p in space.points())


CONVNET = 'family = "convnet"\n[parameters]\n'
MLP = 'family = "mlp"\n[parameters]\n'


def test_a_space_of_the_users(write):
    space = load_space(write(CONVNET + "depth = [1, 2]\n[fixed]\nwidth = 8\n"))
    assert space.name == "mine"
    assert [space.architecture(point) for point in space.points()] == [
        {"family": "convnet", "width": 8, "depth": depth} for depth in (1, 2)
    ]


def test_conditions_may_depend_on_conditional_parameters(write):
    text = (
        CONVNET + 'norm = ["none", "group"]\nwidth = [4, 8]\ndepth = [1, 2]\n'
        '[conditions]\nwidth = { norm = ["group"] }\ndepth = { width = [8] }\n'
    )
    points = list(load_space(write(text)).points())
    assert points == [
        {"norm": "none"},
        {"norm": "group", "width": 4},
        {"norm": "group", "width": 8, "depth": 1},
        {"norm": "group", "width": 8, "depth": 2},
    ]


def test_list_entries_stand_where_their_index_says(write):
    space = load_space(write(MLP + '"hidden.1" = [64]\n"hidden.0" = [32]\n'))
    assert space.architecture(next(space.points()))["hidden"] == [32, 64]


FAULTS = {
    "not TOML": ("family = ", "mine.toml is not valid TOML"),
    "no family": ("[parameters]\ndepth = [1]\n", "family"),
    "unknown family": ('family = "convnat"\n[parameters]\ndepth = [1]\n', "did you mean 'convnet'"),
    "no parameters": ('family = "convnet"\n', "parameters"),
    "empty parameters": (CONVNET, "parameters"),
    "unknown key": ('nme = "x"\n' + CONVNET + "depth = [1]\n", "unknown setting 'nme'"),
    "unknown parameter": (CONVNET + "dept = [1]\n", "'convnet.dept'.*did you mean 'convnet.depth'"),
    "bad value": (CONVNET + "depth = [0]\n", "convnet.depth must be greater than"),
    "not a list": (CONVNET + "depth = 3\n", "parameters.depth must be a valid (tuple|array)"),
    "list of lists": (CONVNET + "depth = [[1]]\n", "parameters.depth.0"),
    "no values": (CONVNET + "depth = []\n", "depth needs distinct values, got"),
    "repeated": (CONVNET + "depth = [1, 2, 1]\n", "depth needs distinct values, got .1, 2, 1."),
    "repeated as float": (CONVNET + "depth = [1, 1.0]\n", "depth"),
    "condition of nothing": (
        CONVNET + "depth = [1]\n[conditions]\nwdth = { depth = [1] }\n", "unknown parameter 'wdth'",
    ),
    "condition on a later one": (
        CONVNET + "depth = [1]\nwidth = [4]\n[conditions]\ndepth = { width = [4] }\n",
        "condition of depth must name an earlier parameter, got 'width'",
    ),
    "condition on itself": (
        CONVNET + "depth = [1]\n[conditions]\ndepth = { depth = [1] }\n", "got 'depth'",
    ),
    "fixed unknown": (CONVNET + "depth = [1]\n[fixed]\nwdth = 4\n", "'convnet.wdth'"),
    "too large": (
        CONVNET + "".join(f"p{i} = [1, 2, 3, 4]\n" for i in range(11)), "unknown setting|more than",
    ),
    "a date": (CONVNET + "depth = [2026-11-22]\n", "depth|mine.toml"),
    "a fixed date": (CONVNET + "depth = [1]\n[fixed]\nwidth = 2026-11-22\n", "width|mine.toml"),
    "not a number": (CONVNET + "depth = [nan]\n", "depth"),
    "a fixed infinity": (CONVNET + "depth = [1]\n[fixed]\nwidth = inf\n", "width"),
    "list entry on a number": (
        MLP + '"hidden.0" = [4]\n[fixed]\nhidden = 5\n', "hidden",
    ),
    "too deep": ("family = " + "[" * 5000, "mine.toml"),
    "list index": (MLP + '"hidden.first" = [4]\n', "hidden.first|hidden"),
    "typo in a later value": (CONVNET + 'norm = ["none", "bach"]\n', "norm must be .*'bach'"),
    "switch and parameter": (
        CONVNET + "depth = [1, 2]\n[switches]\ndepth = [1, 2]\n", "depth",
    ),
    "family fixed": (CONVNET + 'depth = [1]\n[fixed]\nfamily = "mlp"\n', "family|mlp"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_malformed_spaces_name_the_key(write, fault):
    text, message = FAULTS[fault]
    with pytest.raises(SearchSpaceError, match=message) as caught:
        load_space(write(text))
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_architectures_are_refused_in_time(write):
    """Counted no further than a million."""
    text = MLP + "".join(f'"hidden.{i}" = [1, 2, 3, 4, 5, 6, 7, 8]\n' for i in range(9))
    with pytest.raises(SearchSpaceError, match="more than 1000000 architectures"):
        load_space(write(text))


def test_unknown_names_and_files(tmp_path):
    with pytest.raises(
        SearchSpaceError, match=r"'convnt'.*or a .toml file; did you mean 'convnet'"
    ):
        load_space("convnt")
    with pytest.raises(SearchSpaceError, match=r"cannot read .*absent.toml"):
        load_space(str(tmp_path / "absent.toml"))
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(ConfigError, match="is not valid TOML"):
        read_toml(tmp_path / "latin.toml")


def test_nothing_fits(write):
    space = load_space(write(CONVNET + "depth = [4, 5]\n"))
    with pytest.raises(SearchSpaceError, match=r"no architecture of space mine fits.*depth 4"):
        space.feasible_points((1, 8, 8))
