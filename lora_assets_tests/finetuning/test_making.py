"""From a settings file to a tuned model that a tracker can name, or that is refused; and what is refused before."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace

import pytest

from lora_assets.annotations import AnnotationError
from lora_assets.finetuning import memory
from lora_assets.finetuning.checkpoints import LAST, FinetuningError
from lora_assets.finetuning.making import make_report, tune_segmenter
from lora_assets.finetuning.preflight import check_before, check_disk, work_folder
from lora_assets.finetuning.settings import SegmenterSettings, TrainingSettings, read_segmenter, write_segmenter
from lora_assets.models import ModelError, add, list_weights, resolve, verify
from lora_assets.models.tuned import BETTER, UNJUDGED, WORSE, TunedCard, read_tuned, tuned_folder, write_card
from lora_assets.specs import SpecError
from lora_assets.store import Store
from lora_assets.tables import SEGMENTER_TABLES, check_table
from lora_assets.under_way import DONE, TUNING_STAGE, read_state
from lora_assets.vision.prompted import open_prompted


def test_a_better_tune_is_offered_by_its_name_with_its_lineage(tuned_data):
    data = tuned_data
    made, report = tune_segmenter(data, "comics"), make_report(data, "comics")
    assert made.reused
    assert report.reused
    card = read_tuned(data, "comics")
    assert card is not None
    assert card.verdict == BETTER
    assert card == report.card
    assert report.numbers()["iou_box_gain"] > 0.1
    base = resolve("starter-sam", data)
    assert card.lineage["base_sha256"] == base.sha256
    assert card.lineage["annotations"].endswith("annotations/tiny")
    assert card.settings["steps"] == 16
    opened = resolve("comics", data)
    assert (opened.sha256, opened.family, opened.task) == (card.sha256, "starter-sam", "segment")
    assert next(one for one in list_weights(data) if one.name == "comics").note == "tuned from starter-sam: better"
    assert resolve(str(opened.path), data) == opened
    with pytest.raises(ModelError, match="belongs to a tuned model"):
        add(resolve("starter-sam", data).path, data, name="comics")
    prompted = open_prompted("comics", data)
    assert prompted.name == "comics"
    for name in ("finetuned_segmenter", "segmenter_report", "judged_annotations"):
        table = Store(data).published(Store(data).table_path(name, "comics"))
        assert table is not None
        assert table.rows > 0
        check_table(table.read(), SEGMENTER_TABLES[name])
    state = read_state(data, "", "comics", TUNING_STAGE)
    assert state is not None
    assert (state.status, state.done) == (DONE, 16)
    for picture in (made.picture, report.picture):
        assert picture.read_bytes().startswith(b"\x89PNG")
    # What is altered is not opened.
    weights = tuned_folder(data, "comics") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="not the file that its card tells of"):
        resolve("comics", data)
    shutil.rmtree(weights.parent)
    with pytest.raises(ModelError, match="no weights called 'comics'"):
        resolve("comics", data)


def test_a_worse_tune_is_marked_and_refused(data, segmenter):
    # At this rate nothing is learned, and what is not better than its base is not offered.
    segmenter("spoiled", learning_rate=1e-12, steps=1, validate_every=1)
    assert tune_segmenter(data, "spoiled").card.verdict == UNJUDGED
    with pytest.raises(ModelError, match=r"not judged yet.*train-segmenter spoiled --resume"):
        resolve("spoiled", data)
    report = make_report(data, "spoiled")
    assert report.card.verdict == WORSE
    with pytest.raises(ModelError, match=r"worse than its base.*so it is not used"):
        resolve("spoiled", data)
    with pytest.raises(ModelError, match="so it is not used"):
        open_prompted("spoiled", data)
    assert "not offered" in next(one for one in list_weights(data) if one.name == "spoiled").note
    assert (work_folder(data, "spoiled") / "report.png").exists()
    # No path goes around the verdict, and none to weights that have no card.
    folder, link = tuned_folder(data, "spoiled"), data / "link.safetensors"
    link.symlink_to(folder / "model.safetensors")
    for path in (folder, folder / "model.safetensors", folder / ".." / "spoiled", link):
        with pytest.raises(ModelError, match="so it is not used"):
            resolve(str(path), data)
    (folder / "other.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="name spoiled instead"):
        resolve(str(folder / "other.safetensors"), data)
    (folder / "card.json").unlink()
    with pytest.raises(ModelError, match="has no card"):
        resolve(str(folder), data)


def test_a_tuned_sam2_is_opened_by_every_user_of_weights(data, segmenter, drawn_set):
    from PIL import Image

    from lora_assets.vision.segment import SegmentSettings, load_segmenter

    segmenter("small", encoder="lora")
    tune_segmenter(data, "small")
    make_report(data, "small")
    card = read_tuned(data, "small")
    assert card is not None
    write_card(data, replace(card, verdict=BETTER))
    opened = resolve("small", data)
    assert json.loads((opened.path.parent / "config.json").read_text())["model_type"] == "sam2"
    import numpy as np

    page = np.array(Image.open(next((drawn_set / "images" / "val").glob("*.png"))))
    masks = load_segmenter(opened, SegmentSettings(weights="small"))(page, np.array([[5.0, 5.0, 100.0, 70.0]]))
    assert len(masks) == 1
    prompted = open_prompted("small", data)
    assert prompted.predict(prompted.embed(page), box=[5, 5, 100, 70]).masks.shape == (3, 160, 120)
    # The config.json is part of the weights: another one is another model.
    config = opened.path.with_name("config.json")
    config.write_text(config.read_text() + "\n")
    with pytest.raises(ModelError, match="not the file that its card tells of"):
        resolve("small", data)


@pytest.mark.slow
def test_other_settings_or_annotations_tune_again(data, segmenter):
    path = segmenter("comics")
    first = tune_segmenter(data, "comics")
    path.write_text(path.read_text().replace("minutes = 0.0", "minutes = 5.0"))
    path.write_text(path.read_text().replace("seed = 0", "seed = 1"))
    second = tune_segmenter(data, "comics")
    assert not second.reused
    assert second.card.sha256 != first.card.sha256
    make_report(data, "comics")
    listed = data / "annotations" / "tiny" / "annotations.json"
    told = json.loads(listed.read_text())
    told["annotations"].pop()
    listed.write_text(json.dumps(told))
    with pytest.raises(FinetuningError, match=r"there is no checkpoint|other data"):
        tune_segmenter(data, "comics", resume=True)
    write_card(data, second.card)
    with pytest.raises(FinetuningError, match="changed since it was tuned"):
        make_report(data, "comics")
    assert tune_segmenter(data, "comics", resume=False).card.lineage["data_digest"] != first.card.lineage["data_digest"]


def test_only_one_process_makes_a_segmenter(data, segmenter):
    segmenter("comics")
    with Store(data).lock("segmenter-comics"), pytest.raises(FinetuningError, match="another process"):
        tune_segmenter(data, "comics")


@pytest.mark.parametrize(
    ("line", "error", "told"),
    [
        ("steps = 0", SpecError, "steps must lie from 1"),
        ("steps = 1.5", SpecError, "steps must be a whole number"),
        ("stepz = 5", SpecError, "unknown setting stepz; known: steps"),
        ('encoder = "thawed"', SpecError, "encoder must be one of frozen, lora, full"),
        ("share_of_points = 0.8\nshare_of_both = 0.5", SpecError, "more than 1 together"),
        ('precision = "float16"', FinetuningError, "needs a GPU"),
        ('log = "wandb"', FinetuningError, "pip install wandb"),
    ],
)
def test_settings_that_do_not_fit_are_told_with_the_way_out(data, segmenter, monkeypatch, line, error, told):
    from lora_assets.finetuning import history

    monkeypatch.setattr(history, "_installed", lambda name: False)
    path = segmenter("comics")
    path.write_text(path.read_text().split("[training]")[0] + f"[training]\n{line}\n")
    with pytest.raises(error, match=told):
        check_before(data, "comics")


def _rewrite(data, **entries):
    (data / "segmenters" / "comics.toml").write_text("".join(f'{key} = "{value}"\n' for key, value in entries.items()))


def test_a_base_that_cannot_be_tuned_is_told(data, segmenter, tmp_path):
    segmenter("comics")
    for base, error, told in (
        ("starter-yolo-pt", FinetuningError, "family yolo-pt, which is not tuned here"),
        ("comics", FinetuningError, "its own base"),
        ("nothing-here", ModelError, "no weights called"),
    ):
        _rewrite(data, annotations="tiny", base=base)
        with pytest.raises(error, match=told):
            check_before(data, "comics")
    _rewrite(data, annotations="tiny", base="starter-sam")
    with (data / "segmenters" / "comics.toml").open("a") as handle:
        handle.write('[training]\nencoder = "lora"\n')
    with pytest.raises(FinetuningError, match="no image encoder that could learn"):
        check_before(data, "comics")


def test_a_damaged_or_foreign_sam2_folder_is_told(data, segmenter, sam2_folder, tmp_path):
    segmenter("comics")
    broken = tmp_path / "broken"
    for spoil, told in (
        (lambda: (broken / "config.json").unlink(), "no weights called|is not there"),
        (lambda: (broken / "config.json").write_text("{}"), "model type None, not of SAM 2"),
        (lambda: (broken / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      "), "neither|cannot be opened"),
        (lambda: _wider(broken / "config.json"), "of another size"),
        (lambda: _without_decoder(broken / "model.safetensors"), "neither|holds another model"),
    ):
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(sam2_folder, broken)
        spoil()
        _rewrite(data, annotations="tiny", base=str(broken))
        with pytest.raises(ModelError, match=told):
            check_before(data, "comics")


def _wider(config):
    told = json.loads(config.read_text())
    told["mask_decoder_config"]["mlp_dim"] = 96
    config.write_text(json.dumps(told))


def _without_decoder(weights):
    from safetensors.torch import load_file, save_file

    kept = {name: value for name, value in load_file(weights).items() if "iou_prediction_head" not in name}
    save_file(kept, weights, {"format": "pt"})


def test_annotations_that_forbid_a_training_are_told(data, segmenter):
    segmenter("comics")
    listed = data / "annotations" / "tiny" / "annotations.json"
    whole = json.loads(listed.read_text())
    val = {image["id"] for image in whole["images"] if image["split"] == "val"}
    no_bubbles = [one for one in whole["annotations"] if one["image_id"] not in val or one["category_id"] != 2]
    for kept, told in (([], "annot"), (no_bubbles, "bubble")):
        listed.write_text(json.dumps({**whole, "annotations": kept}))
        with pytest.raises(AnnotationError, match=told):
            check_before(data, "comics")
    _rewrite(data, annotations="gone", base="starter-sam")
    with pytest.raises(AnnotationError, match="gone"):
        check_before(data, "comics")


def test_too_little_memory_or_disk_is_told_before_anything_starts(data, segmenter, monkeypatch):
    segmenter("comics", cache="disk", cache_gb=50.0)
    ready_settings = read_segmenter(data, "comics")
    base = resolve(ready_settings.base, data)
    from lora_assets.finetuning.memory import MemoryEstimate

    estimate = MemoryEstimate(0, 0, 0, 0, 0, 0, 1_000_000, None, "cpu")
    with pytest.raises(FinetuningError, match=r'need 53\.\d GB.*1\.0 GB are free.*cache = "memory"'):
        check_disk(data, "comics", ready_settings, estimate, base, free=10**9)
    monkeypatch.setattr(memory, "free_memory", lambda _: 0.1)
    with pytest.raises(FinetuningError, match=r"That is too much: set .*prompts = 2"):
        check_before(data, "comics")
    assert not work_folder(data, "comics").exists()


def test_a_settings_file_says_what_each_setting_is_and_is_not_written_over(data):
    path = write_segmenter(data, SegmenterSettings("new", "set", "starter-sam", TrainingSettings(steps=7)))
    text = path.read_text()
    assert "steps = 7  # steps of the optimizer" in text
    assert read_segmenter(data, "new") == SegmenterSettings("new", "set", "starter-sam", TrainingSettings(steps=7))
    with pytest.raises(SpecError, match="there already"):
        write_segmenter(data, SegmenterSettings("new", "set", "starter-sam", TrainingSettings()))
    with pytest.raises(ModelError, match="belongs to known weights"):
        write_segmenter(data, SegmenterSettings("starter-sam", "set", "mobile_sam", TrainingSettings()))
    add(resolve("starter-sam", data).path, data, name="mine")
    with pytest.raises(ModelError, match="belongs to added weights"):
        write_segmenter(data, SegmenterSettings("mine", "set", "starter-sam", TrainingSettings()))
    path.write_text("base = 3\n")
    with pytest.raises(SpecError, match="needs an entry annotations"):
        read_segmenter(data, "new")
    with pytest.raises(SpecError, match="train-segmenter none --annotations SET --base MODEL"):
        read_segmenter(data, "none")


def test_a_killed_tune_goes_on_by_itself_and_only_the_same_one(data, segmenter):
    segmenter("comics")

    class Killed(BaseException):
        pass

    def killed(at):
        if at.done == 5:
            raise Killed

    with pytest.raises(FinetuningError, match="no checkpoint"):
        tune_segmenter(data, "comics", resume=True)
    with pytest.raises(Killed):
        tune_segmenter(data, "comics", killed)
    assert (work_folder(data, "comics") / LAST).exists()
    assert read_tuned(data, "comics") is None
    made = tune_segmenter(data, "comics")
    assert made.table.facts["resumed_at"] == 4


@pytest.mark.parametrize("text", ['{"broken":', "[]", "changed"])
def test_a_damaged_card_is_listed_as_damaged_and_hides_nothing_else(data, text):
    card = TunedCard("good", "starter-sam", "a", "b", {"base": "starter-sam"}, {}, verdict=WORSE)
    write_card(data, card)
    path = tuned_folder(data, "bad") / "card.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**asdict(card), "name": "bad", "lineage": None}) if text == "changed" else text)
    notes = {one.name: one.note for one in list_weights(data)}
    assert notes["good"] == "tuned from starter-sam: worse than its base, not offered"
    assert notes["bad"].startswith("damaged, not offered: ")
    assert "card.json is damaged" in notes["bad"]
    assert next(one.state for one in verify(data) if one.name == "bad") == "corrupt"
    with pytest.raises(ModelError, match="no weights called 'goud'"):
        resolve("goud", data)
    with pytest.raises(ModelError, match="is damaged"):
        resolve("bad", data)


def test_what_ends_keeps_or_tells_of_a_training_is_not_in_its_fingerprint():
    plain = TrainingSettings()
    for changed in (
        {"minutes": 5.0}, {"patience": 1}, {"log": "files"}, {"wandb_mode": "online"}, {"wandb_project": "x"},
        {"cache": "none"}, {"cache_gb": 1.0}, {"save_every": 1},
    ):  # fmt: skip
        assert replace(plain, **changed).counted() == plain.counted()
    for changed in ({"seed": 1}, {"steps": 3}, {"least_gain": 0.1}, {"validate_every": 1}, {"precision": "float32"}):
        assert replace(plain, **changed).counted() != plain.counted()
