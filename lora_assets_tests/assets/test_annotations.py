from __future__ import annotations

import json

import dagster as dg
import pytest

from lora_assets.annotations import AnnotationError, read_annotated_set
from lora_assets.annotations.places import annotations_of, known_segmenters
from lora_assets.annotations.sample import write_sample
from lora_assets.assets.annotations import annotations_sound, coco_annotations, segmenter_files
from lora_assets.resources import DataFolder
from lora_assets.store import Store
from lora_assets.tables import AnnotatedThing, AnnotationProblem, from_table

NAME = "my-comics"


@pytest.fixture
def segmenter(data):
    """A data folder with a settings file and the set that it names."""
    write_sample(data / "annotations" / "drawn", 3, 5, size=(240, 320), form="rle")
    (data / "segmenters").mkdir()
    (data / "segmenters" / f"{NAME}.toml").write_text('annotations = "drawn"\n')
    return data


def _made(data, instance):
    instance.add_dynamic_partitions("segmenter", [NAME])
    resources = {"data_folder": DataFolder(path=str(data))}
    result = dg.materialize(
        [coco_annotations, annotations_sound], partition_key=NAME, instance=instance, resources=resources
    )
    assert result.success
    check = result.get_asset_check_evaluations()[0]
    return result.asset_materializations_for_node("coco_annotations")[0], check


def test_a_sound_set_is_published_with_its_pages(segmenter, instance):
    made, check = _made(segmenter, instance)
    found, _ = read_annotated_set(segmenter / "annotations" / "drawn")
    told = made.metadata
    assert check.passed
    assert told["problems"].value == 0.0 and told["digest"].value == found.digest
    assert told["train_pages"].value + told["val_pages"].value == 3.0
    assert "data:image/jpeg;base64," in told["preview"].value
    published = Store(segmenter).published(Store(segmenter).table_path("coco_annotations", NAME))
    assert published is not None and published.facts["set_digest"] == found.digest
    rows = from_table(published.read(), AnnotatedThing)
    assert len(rows) == len(found.annotations) == told["dagster/row_count"].value
    assert rows[0].file.startswith("images/") and rows[0].category == "panel"
    again, _ = _made(segmenter, instance)
    assert again.tags["dagster/data_version"] == made.tags["dagster/data_version"]


def test_what_is_broken_is_told_and_fails_the_check(segmenter, instance):
    before, _ = _made(segmenter, instance)
    path = segmenter / "annotations" / "drawn" / "annotations.json"
    told = json.loads(path.read_text())
    told["annotations"][0]["category_id"] = 77
    path.write_text(json.dumps(told))
    made, check = _made(segmenter, instance)
    assert made.tags["dagster/data_version"] != before.tags["dagster/data_version"]
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    published = Store(segmenter).published(Store(segmenter).table_path("annotation_problems", NAME))
    assert published is not None
    (problem,) = from_table(published.read(), AnnotationProblem)
    assert problem.kind == "unknown_category" and "annotation 1" in problem.place and problem.way_out

    for image in told["images"]:
        image["split"] = "train"
        image["file_name"] = image["file_name"].replace("images/val", "images/train")
    (path.parent / "images" / "val").rename(path.parent / "images" / "moved")
    for page in (path.parent / "images" / "moved").iterdir():
        page.rename(path.parent / "images" / "train" / page.name)
    path.write_text(json.dumps(told))
    made, check = _made(segmenter, instance)
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert "split val" in made.metadata["forbids_training"].value[0]


def test_settings_files_become_partitions(segmenter, instance):
    context = dg.build_sensor_context(instance=instance, resources={"data_folder": DataFolder(path=str(segmenter))})
    result = segmenter_files(context)
    assert isinstance(result, dg.SensorResult) and not result.run_requests
    assert [list(request.partition_keys) for request in result.dynamic_partitions_requests or ()] == [[NAME]]
    instance.add_dynamic_partitions("segmenter", [NAME])
    assert isinstance(segmenter_files(context), dg.SkipReason)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("annotations = 3", "needs an entry annotations"),
        ("annotations = [", "cannot be read as TOML"),
        ('annotations = "../outside"', "does not fit"),
    ],
)
def test_a_settings_file_that_names_no_set_is_refused(segmenter, content, words):
    (segmenter / "segmenters" / "odd.toml").write_text(content)
    assert known_segmenters(segmenter) == [NAME, "odd"]
    with pytest.raises(AnnotationError, match=words):
        annotations_of(segmenter, "odd")
    with pytest.raises(AnnotationError, match="known segmenters: my-comics, odd"):
        annotations_of(segmenter, "gone")
    assert annotations_of(segmenter, NAME) == segmenter / "annotations" / "drawn"
