"""Splits keep patients together and class proportions; few-shot episodes are drawn from them by class."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from f2vbench.data.episodes import draw_classification_episode, unit_seed
from f2vbench.data.splits import assign_splits, read_split, split_seed, write_split
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.errors import DataError

CARD = load_card("retina").model_copy(update={"split": "random"})


def table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    """(image, patient, label, split) as an index."""
    return pd.DataFrame(rows, columns=["image", "patient", "label", "split"])


def singles(counts: dict[str, int]) -> pd.DataFrame:
    """One image per patient."""
    rows = [(f"{label}{n}", f"{label}{n}", label, "") for label, count in counts.items() for n in range(count)]
    return table(rows)


def pairs(seed: int = 0, patients: int = 120) -> pd.DataFrame:
    """Two eyes per patient, each with its own label; some are multi-label."""
    random = np.random.default_rng(seed)
    names = ["normal", "cataract", "glaucoma", "cataract;glaucoma"]
    rows = [
        (f"{n}_{eye}", f"p{n}", str(random.choice(names, p=[0.6, 0.2, 0.15, 0.05])), "")
        for n in range(patients)
        for eye in ("left", "right")
    ]
    return table(rows)


def test_single_images_of_one_class_are_divided_to_within_one_image():
    counts = {"normal": 300, "cataract": 100, "glaucoma": 101, "retina_disease": 7}
    for seed in range(5):
        images = singles(counts)
        splits = assign_splits(images, CARD, seed)
        found = Counter(zip(images["label"], images["image"].map(splits), strict=True))
        for label, count in counts.items():
            for split, fraction in (("train", 0.55), ("val", 0.15), ("test", 0.30)):
                assert abs(found[label, split] - fraction * count) < 1.5, (label, split)


@pytest.mark.parametrize("seed", range(4))
def test_patients_stay_together_and_every_class_is_in_every_split(seed):
    images = pairs(seed)
    splits = images["image"].map(assign_splits(images, CARD, seed))
    assert (splits.groupby(images["patient"]).nunique() == 1).all()
    for name in ("normal", "cataract", "glaucoma"):
        in_class = images["label"].str.split(";").map(lambda classes, name=name: name in classes)
        for split, fraction in (("train", 0.55), ("val", 0.15), ("test", 0.30)):
            count = int((in_class & (splits == split)).sum())
            assert abs(count - fraction * in_class.sum()) <= 3, (name, split)


def test_a_split_depends_on_task_and_seed_only():
    images = pairs()
    first = assign_splits(images, CARD, 0)
    assert assign_splits(images.sample(frac=1, random_state=1), CARD, 0).equals(first)
    assert not assign_splits(images, CARD, 1).equals(first)
    assert not assign_splits(images, CARD.model_copy(update={"name": "other"}), 0).equals(first)
    assert len({split_seed("retina", 0), split_seed("retina", 1), split_seed("idrid", 0)}) == 3


def test_a_known_split_is_reproduced():
    """Patients in the order of raw PCG64 bits, each assigned to the split that lacks most images, computed by hand."""
    images = singles({"normal": 5})
    keys = dict(zip(sorted(images["patient"]), np.random.PCG64(split_seed("retina", 3)).random_raw(5), strict=True))
    order = sorted(keys, key=keys.__getitem__)
    # Wanted 2.75, 0.75, 1.5: train (1.75 left), train (0.75 left), test (0.5 left), then val and train at 0.75 each,
    # of which the first (train) is chosen, then val.
    expected = dict(zip(order, ["train", "train", "test", "train", "val"], strict=True))
    assert assign_splits(images, CARD, 3).to_dict() == expected


def test_an_official_split_without_validation_images_draws_them_from_training():
    whole = table([(f"{name}{n}", f"{name}{n}", "normal", name) for name in ("train", "val", "test") for n in range(9)])
    official = CARD.model_copy(update={"split": "auto"})
    assert assign_splits(whole, official, 0).to_dict() == dict(zip(whole["image"], whole["split"], strict=True))
    two = whole[whole["split"] != "val"]
    splits = assign_splits(two, official, 0)
    assert Counter(splits) == {"train": 7, "val": 2, "test": 9}
    assert all(image.startswith("test") == (split == "test") for image, split in splits.items())
    with pytest.raises(DataError, match="the test split has no images"):
        assign_splits(whole[whole["split"] == "train"], CARD.model_copy(update={"split": "official"}), 0)
    with pytest.raises(DataError, match="2 patients can't be divided"):
        assign_splits(singles({"normal": 2}), CARD, 0)


def test_a_written_split_is_read_back(tmp_path):
    images = pairs()
    splits = assign_splits(images, CARD, 0)
    write_split(tmp_path / "split.csv", images, splits)
    assert read_split(tmp_path / "split.csv", images, "retina").equals(splits)
    lines = (tmp_path / "split.csv").read_text().splitlines()
    assert lines[0] == "image,patient,label,split"
    assert len(lines) == len(images) + 1
    (tmp_path / "short.csv").write_text("image,split\n0_left,train\n1_left,test\n")
    found = read_split(tmp_path / "short.csv", images, "retina")
    assert found[found != ""].to_dict() == {"0_left": "train", "1_left": "test"}


def test_errors_in_a_split_file_name_the_row(tmp_path):
    images = pairs()
    other = "normal" if images["label"][0] != "normal" else "cataract"
    file = tmp_path / "split.csv"
    file.write_text(f"image,label,split\n0_left,{other},train\n0_right,,tset\nx,,test\n1_left,{other},train\n")
    with pytest.raises(DataError) as caught:
        read_split(file, images, "retina")
    for problem in ("row 2: label of '0_left'", "row 3: split 'tset'", "1 unknown image for retina: x"):
        assert problem in str(caught.value)
    file.write_text("image,split\n0_left,train\n0_right,test\n0_left,train\n")
    with pytest.raises(DataError) as caught:
        read_split(file, images, "retina")
    assert "1 patient in several splits: p0" in str(caught.value)
    assert "row 4: image '0_left' is listed twice" in str(caught.value)
    file.write_text("image,split\n" + "".join(f"{n}_left,trian\n" for n in range(30)))
    with pytest.raises(DataError) as caught:
        read_split(file, images, "retina")
    assert len(caught.value.problems) == 11
    assert caught.value.problems[-1] == "… and 20 more"
    with pytest.raises(DataError, match="f2vbench data split task=retina"):
        read_split(tmp_path / "none.csv", images, "retina")


def draw(images: pd.DataFrame, protocol="few-shot", shots: int | None = 4, seed: int = 0, card: TaskCard = CARD):
    return draw_classification_episode(images, card, protocol, shots, seed)


@pytest.mark.parametrize("shots", [1, 4, 8])
def test_few_shot_uses_k_images_per_class_and_keeps_patients_apart(shots):
    images = pairs(patients=200)
    images["label"] = images["label"].replace("cataract;glaucoma", "glaucoma")
    patient = images.set_index("image")["patient"]
    for seed in range(5):
        episode = draw(images, shots=shots, seed=seed)
        labels = images.set_index("image").loc[list(episode.support), "label"]
        assert labels.value_counts().to_dict() == dict.fromkeys(("normal", "cataract", "glaucoma"), shots)
        sides = [set(patient[list(side)]) for side in (episode.support, episode.val, episode.test)]
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]
        for name in ("normal", "cataract", "glaucoma"):
            assert patient[labels.index[labels == name]].is_unique
        assert episode.seed == unit_seed("retina", "few-shot", shots, seed)


def test_multi_label_images_count_for_each_of_their_classes():
    images = pairs(patients=200)
    episode = draw(images, shots=5)
    labels = images.set_index("image").loc[list(episode.support), "label"]
    counts = Counter(one for label in labels for one in label.split(";"))
    assert all(counts[name] >= 5 for name in ("normal", "cataract", "glaucoma"))
    assert counts["glaucoma"] == 5  # the rarest class is drawn first and gets exactly as many as requested
    assert len(set(episode.support)) == len(episode.support)


def test_all_protocols_of_a_seed_share_their_test_images():
    images = pairs()
    few, more = draw(images, shots=1), draw(images, shots=4)
    supervised, zero = draw(images, "supervised", None), draw(images, "zero-shot", 0)
    assert few.test == more.test == supervised.test == zero.test
    assert few.val == supervised.val != ()
    assert set(supervised.support) == set(images["image"]) - set(few.test) - set(few.val)
    assert zero.support == ()
    assert draw(images, shots=1, seed=1).test != few.test
    assert draw(images.sample(frac=1, random_state=2), shots=4) == more


def test_classes_with_too_few_or_no_training_images_are_named():
    few = singles({"normal": 40, "cataract": 40, "glaucoma": 4})
    with pytest.raises(DataError, match=r"shots=4, but in the training split glaucoma has \d: use shots=\d"):
        draw(few, shots=4)
    rows = [(f"a{n}", f"a{n}", "normal", "train") for n in range(9)]
    rows += [(f"b{n}", f"b{n}", "cataract", "test") for n in range(3)]
    with pytest.raises(DataError, match=r"no training image of the class cataract \(3 test images\)"):
        draw(table(rows), "supervised", None, card=CARD.model_copy(update={"split": "official"}))


def test_a_split_file_without_test_images_is_named_instead_of_the_official_split(tmp_path):
    images = pd.DataFrame({"image": list("abcd"), "patient": list("abcd"), "label": ["x", "y"] * 2, "split": "train"})
    images.attrs["split_file"] = str(tmp_path / "mine.csv")
    card = load_card("idrid").model_copy(update={"split": "official"})
    with pytest.raises(DataError, match=r"split=.*mine\.csv lists no test images"):
        assign_splits(images, card, 0)
