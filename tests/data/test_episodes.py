"""Episodes are drawn by patient and reproducible, differ between seeds, and are refused if images are missing."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter

import pandas as pd
import pytest

from f2vbench.data.episodes import Episode, draw_segmentation_episode, unit_seed
from f2vbench.data.mask_declaration import MaskClass
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.errors import DataError


def table(images: dict[str, list[str]], split: dict[str, str] | None = None) -> pd.DataFrame:
    """An index of images by patient."""
    rows = [(image, patient, (split or {}).get(patient, "")) for patient, names in images.items() for image in names]
    return pd.DataFrame(rows, columns=["image", "patient", "split"])


SINGLES = table({f"p{number:02}": [f"i{number:02}"] for number in range(40)})
PAIRS = table({f"{number:02}": [f"{number:02}L", f"{number:02}R"] for number in range(14)})
OFFICIAL = table(
    {f"{number:02}": [f"{number:02}"] for number in range(40)},
    {f"{number:02}": "test" if number < 20 else "train" for number in range(40)},
)


def card(**changes) -> TaskCard:
    return load_card("folder").model_copy(update=changes)


def draw(images: pd.DataFrame, protocol="few-shot", shots=4, seed=0, **changes) -> Episode:
    return draw_segmentation_episode(images, card(**changes), protocol, shots, seed)


def patients_of(names, images: pd.DataFrame) -> list[str]:
    return [images.set_index("image").loc[name, "patient"] for name in names]


def test_the_seed_is_a_hash_of_the_unit():
    text = b'["rite","few-shot",4,0]'
    assert unit_seed("rite", "few-shot", 4, 0) == int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    units = [("rite", "few-shot", 4, 0), ("drive", "few-shot", 4, 0), ("rite", "zero-shot", 4, 0)]
    units += [("rite", "few-shot", 2, 0), ("rite", "few-shot", 4, 1), ("rite", "supervised", None, 0)]
    assert len({unit_seed(*unit) for unit in units}) == 6


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("images", [SINGLES, PAIRS])
def test_no_patient_is_in_support_and_test(images, seed):
    for protocol, shots in (("few-shot", 6), ("supervised", None)):
        episode = draw(images, protocol, shots, seed)
        assert len(set(episode.support)) == len(episode.support)
        assert not set(patients_of(episode.support, images)) & set(patients_of(episode.test, images))


def test_the_test_set_has_the_fraction_of_the_patients():
    for fraction, patients in ((0.5, 7), (0.25, 4), (0.3, 4), (0.01, 1), (0.99, 13)):
        episode = draw(PAIRS, "supervised", None, test_fraction=fraction)
        assert len(set(patients_of(episode.test, PAIRS))) == patients
        assert len(episode.test) == 2 * patients
        assert sorted(episode.support + episode.test) == sorted(PAIRS["image"])


def test_support_images_are_of_different_patients_while_possible():
    for seed in range(8):
        for shots in (1, 5, 7, 10, 14):
            counts = Counter(patients_of(draw(PAIRS, shots=shots, seed=seed).support, PAIRS))
            assert sum(counts.values()) == shots
            assert max(counts.values()) == (1 if shots <= 7 else 2)
            assert len(counts) == min(shots, 7)


def test_the_order_of_rows_does_not_matter():
    for seed in range(5):
        shuffled = PAIRS.sample(frac=1, random_state=seed)
        assert draw(shuffled, seed=seed) == draw(PAIRS, seed=seed)


def test_a_known_draw_is_reproduced():
    """Patients sorted by raw PCG64 bits; a change here changes every published number."""
    images = table({name: [name] for name in "abcdef"})
    episode = draw(images, shots=2)
    keys = iter(_raw_bits(unit_seed("folder", "few-shot", 2, 0)))
    order = sorted("abcdef", key=dict(zip("abcdef", keys, strict=False)).__getitem__)
    assert episode.test == tuple(sorted(order[:3]))
    assert episode.support == tuple(order[3:5])
    assert (episode.support, episode.test) == (("b", "f"), ("a", "c", "d"))


def _raw_bits(seed: int) -> list[int]:
    """The first raw numbers of PCG64, from a separate process."""
    code = f"import numpy; print(*numpy.random.PCG64({seed}).random_raw(6))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_seeds_give_different_draws_and_test_every_image():
    episodes = [draw(SINGLES, shots=1, seed=seed) for seed in range(100)]
    assert len({episode.support for episode in episodes}) > 30
    assert len({episode.test for episode in episodes}) == 100
    tested = Counter(name for episode in episodes for name in episode.test)
    assert min(tested.values()) > 30
    assert max(tested.values()) < 70
    orders = {draw(SINGLES, "supervised", None, seed).support for seed in range(3)}
    assert all(list(order) != sorted(order) for order in orders)


def test_zero_shot_has_no_support_images():
    episode = draw(SINGLES, "zero-shot", 0)
    assert episode.support == ()
    assert len(episode.test) == 20


def test_the_official_split_tests_on_the_whole_test_split():
    for protocol, shots, supports in (("few-shot", 16, 16), ("supervised", None, 20), ("zero-shot", 0, 0)):
        episodes = [draw(OFFICIAL, protocol, shots, seed, split="official") for seed in range(3)]
        for episode in episodes:
            assert episode.test == tuple(f"{number:02}" for number in range(20))
            assert len(episode.support) == supports
            assert all(int(name) >= 20 for name in episode.support)
        if supports:
            assert len({episode.support for episode in episodes}) == 3


def test_an_incomplete_official_split_is_refused():
    training = OFFICIAL[OFFICIAL["split"] == "train"]
    with pytest.raises(DataError, match=r"the test split has no images.*`split: random`"):
        draw(training, split="official")
    testing = OFFICIAL[OFFICIAL["split"] == "test"]
    with pytest.raises(DataError, match="the training split has no images"):
        draw(testing, split="official")
    assert len(draw(testing, "zero-shot", 0, split="official").test) == 20


def test_too_few_images_are_refused_with_the_numbers():
    with pytest.raises(DataError, match=r"shots=16.*only 14 images of 7 patients.*shots=14"):
        draw(PAIRS, shots=16)
    with pytest.raises(DataError, match="1 patient"):
        draw(table({"only": ["a", "b", "c"]}), shots=1)
    with pytest.raises(ValueError, match="shots=0"):
        draw(SINGLES, shots=0)


def test_support_images_contain_every_class_where_possible():
    images = SINGLES.assign(present="common")
    images.loc[[3, 8], "present"], images.loc[25, "present"] = "common;rare", "other"
    mask_classes = [MaskClass(name=name) for name in ("common", "rare", "other")]
    for seed in range(8):
        drawn = draw(images, shots=3, seed=seed, mask_classes=mask_classes)
        pool = set(images["image"]) - set(drawn.test)
        found = {name for image in drawn.support for name in images.set_index("image").present[image].split(";")}
        available = {name for image in pool for name in images.set_index("image").present[image].split(";")}
        assert found == available
        assert len({"i03", "i08"} & set(drawn.test)) == 1  # a class of two patients is in both parts
    common = images.assign(present="common")
    assert draw(common, shots=3, mask_classes=mask_classes) == draw(common, shots=3)
