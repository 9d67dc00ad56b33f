from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nasproxy.config import DataConfig
from nasproxy.errors import ArtifactError
from nasproxy.proxy.coreset import make_baseline
from nasproxy.proxy.store import save_proxy
from nasproxy.study.check import check_proxies, check_settings
from nasproxy.study.plan import StudyConfig

RESULTS = Path(__file__).parents[3] / "results"
CONFIG = StudyConfig(data=DataConfig(dataset="digits"), ipc=2, seeds=5)
REAL, SEARCH = "datadam-real/convnet-3-w32/study", "random/search"
FINISHED = {REAL: {"num_seeds": 5}, SEARCH: {"num_seeds": 3}}
"""As older versions wrote them, without a seed or what they were run on."""


def check(config, *, finished=FINISHED, given=(), before=None):
    before = CONFIG.to_dict() if before is None else before
    check_settings(config, before, finished, Path("study"), set(given))


@pytest.mark.parametrize(
    "change",
    [
        {"cross_models": ["mlp"]}, {"baselines": ["random", "herding"]}, {"widths": [32, 64]},
        {"cross_seeds": 9}, {"full_seeds": 9}, {"model": "convnet-2"},
        {"pad": CONFIG.pad.replace(iterations=3).to_dict()},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_no_finished_row_depends_on_may_change(change):
    check(CONFIG.replace(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 2}, rf"row {REAL} was run with trainings 5 instead of 2: give that back"),
        ({"search_seeds": 2}, rf"row {SEARCH} was run with trainings 3 instead of 2"),
        ({"seed": 2}, r"seed 0 instead of 2"),
        ({"ipc": 3}, r"ipc 2 instead of 3: .*delete rows/datadam-real--convnet-3-w32--study.json"),
        (
            {"datadam": CONFIG.datadam.replace(schedule="cosine").to_dict()},
            r"holds another study: .*schedule 'constant' instead of 'cosine'",
        ),
    ],
)
def test_settings_of_finished_rows_may_not(change, message):
    with pytest.raises(ArtifactError, match=message):
        check(CONFIG.replace(**change))
    check(CONFIG.replace(**change), finished={})


def test_how_a_given_proxy_was_made_is_its_own_matter():
    change = {"datadam": CONFIG.datadam.replace(iterations=3).to_dict()}
    check(CONFIG.replace(**change), given=["datadam-real"])
    with pytest.raises(ArtifactError, match=r"iterations 2500 instead of 3"):
        check(CONFIG.replace(**change), given=["pad"])


def test_records_of_other_versions():
    old = CONFIG.to_dict()
    del old["pad"]["label_temperature"], old["full_seeds"]
    check(CONFIG, before=old)
    with pytest.raises(ArtifactError, match=r"that this nasproxy does not know.*--out"):
        check(CONFIG, before={**old, "later": 1})


@pytest.fixture
def proxies(make_dataset, tmp_path):
    """Folders of random proxies by their seed."""
    found = {}
    for seed in (0, 1):
        proxy = make_baseline(make_dataset(), "random", 2, seed)
        found[seed] = save_proxy(proxy, tmp_path / str(seed)), tmp_path / str(seed)
    return found


def test_rows_go_on_with_the_proxy_that_they_were_run_on(proxies, tmp_path):
    (one, here), (_, there) = proxies[0], proxies[1]
    finished = {SEARCH: {"num_seeds": 3, "proxy_sha256": one.manifest.tensors_sha256}}
    common = {"wanted": {"random"}, "given": {"random"}}
    check_proxies(CONFIG, finished, {"random": here}, **common)
    check_proxies(CONFIG, FINISHED, {"random": there}, **common)  # of which old rows say nothing
    message = rf"row {SEARCH} was run on another proxy random .*delete rows/random--search.json"
    with pytest.raises(ArtifactError, match=message):
        check_proxies(CONFIG, finished, {"random": there}, **common)
    absent = {"random": tmp_path / "absent"}
    check_proxies(CONFIG, finished, absent, wanted=set(), given=set())
    check_proxies(CONFIG, {}, absent, wanted={"random"}, given=set())  # it will be made
    with pytest.raises(ArtifactError, match=r"that is not in .*--proxy random=DIR"):
        check_proxies(CONFIG, finished, absent, wanted={"random"}, given=set())
    with pytest.raises(ArtifactError, match=r"absent is not a proxy: .*--proxy random="):
        check_proxies(CONFIG, finished, absent, **common)


def test_proxies_have_the_size_of_the_study(proxies):
    (_, here) = proxies[0]
    with pytest.raises(ArtifactError, match=r"of ipc 2, the study has ipc 3.*or --ipc 2"):
        check_proxies(CONFIG.replace(ipc=3), {}, {"random": here}, wanted=set(), given={"random"})


KINDS = {
    "datadam-real": {"kind": "synthetic", "method": "datadam", "config": {"init": "real"}},
    "datadam-noise": {"kind": "synthetic", "method": "datadam", "config": {"init": "noise"}},
    "datadam-kcenter": {"kind": "synthetic", "method": "datadam", "config": {"init": "kcenter"}},
    "pad": {"kind": "synthetic", "method": "pad", "config": {"init": "noise"}},
    "random": {"kind": "random", "method": "random", "config": {}},
    "random-soft": {"kind": "random", "method": "random", "config": {"labels": "soft"}},
    "herding": {"kind": "herding", "method": "herding", "config": {"labels": "hard"}},
    "kcenter-soft": {"kind": "kcenter", "method": "kcenter", "config": {"labels": "soft"}},
}
NAMES = sorted(set(KINDS) - {"datadam-kcenter"})


@pytest.fixture
def give(proxies, tmp_path):
    """Check a proxy that is made in one way under the name of another."""

    def give(name: str, made_as: str, *, given: bool = True) -> None:
        proxy, folder = proxies[0][0], tmp_path / made_as
        manifest = proxy.manifest.replace(**KINDS[made_as])
        save_proxy(replace(proxy, manifest=manifest), folder)
        known = ["random", "random-soft", "herding", "kcenter-soft"]
        config = CONFIG.replace(baselines=known)
        check_proxies(config, {}, {name: folder}, wanted={name}, given={name} if given else set())

    return give


@pytest.mark.parametrize("name", NAMES)
def test_a_proxy_is_what_its_name_says(give, name):
    give(name, name)
    for other in sorted(set(KINDS) - {name}):
        with pytest.raises(ArtifactError, match=rf"{other} holds a {other} proxy, not a {name} o"):
            give(name, other)


def test_a_proxy_of_another_kind_can_be_given_by_its_own_name(give):
    with pytest.raises(
        ArtifactError, match=r"give it as --proxy pad=, and another folder as --proxy random=$"
    ):
        give("random", "pad")
    with pytest.raises(ArtifactError, match=r": give another folder as --proxy datadam-real=$"):
        give("datadam-real", "datadam-kcenter")
    with pytest.raises(ArtifactError, match=r"or delete it to have one made$"):
        give("random", "pad", given=False)


@pytest.mark.skipif(not RESULTS.exists(), reason="a source distribution has no results/")
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("datadam-real", "mnist-datadam-ipc10"), ("datadam-noise", "mnist-datadam-noise-ipc10"),
        ("random", "mnist-random-ipc10"), ("pad", "mnist-pad-ipc10"),
        ("random-soft", "compare-mnist/proxies/random-ipc10-0-soft-t4"),
        ("datadam-real", "ebhi-run/proxy"), ("datadam-noise", "ebhi-datadam-noise-ipc10"),
        ("random", "study-ebhi/proxies/random"), ("pad", "study-ebhi/proxies/pad"),
    ],
)  # fmt: skip
def test_the_proxies_of_the_committed_studies(name, folder):
    config = CONFIG.replace(ipc=10)
    check_proxies(config, {}, {name: RESULTS / folder}, wanted={name}, given={name})
