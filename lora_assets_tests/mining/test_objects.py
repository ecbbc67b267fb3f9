from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.mining.objects import (
    ALL,
    KEYWORD,
    RANDOM,
    RARE_CLASS,
    early_filter,
    object_id,
    objects_of_boxes,
    sample_frames,
)
from lora_assets.mining.settings import MiningSettings
from lora_assets.store import digest
from lora_assets_tests.mining.street import box_row, found_objects

_names = st.sets(st.integers(0, 10**6).map(lambda n: digest("frame", n)), max_size=60)


@given(_names, st.floats(0.01, 1.0), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_a_sample_has_its_share_and_hardly_changes_with_one_frame_more(names, rate, seed):
    sample = sample_frames(names, rate, seed)
    assert len(sample) == min(len(names), max(1, round(rate * len(names))))
    assert sample == sample_frames(sorted(names, reverse=True), rate, seed)
    more = set(sample_frames({*names, digest("one more")}, rate, seed))
    assert len(set(sample) - more) <= 1


def test_another_seed_draws_other_frames():
    names = [digest("frame", n) for n in range(100)]
    assert sample_frames(names, 0.2, 0) != sample_frames(names, 0.2, 1)


def test_the_supposed_run_of_the_specification():
    objects = found_objects({"car": 1000, "person": 600, "truck": 300, "bus": 60, "bicycle": 30, "excavator": 10})
    counts = Counter(each.label for each in objects)
    passed = early_filter(objects, counts, MiningSettings())
    assert Counter(passed.values()) == {RARE_CLASS: 500, RANDOM: 100}
    labels = {each.object_id: each.label for each in objects}
    taken = Counter(labels[name] for name, why in passed.items() if why == RARE_CLASS)
    assert taken == {"excavator": 10, "bicycle": 30, "bus": 60, "truck": 300, "person": 100}
    assert passed == early_filter(objects[::-1], counts, MiningSettings())


def test_a_keyword_comes_first_however_common_its_class_is():
    objects = found_objects({"construction vehicle": 900, "person": 100})
    chosen = MiningSettings(rare_keywords=("Construction",), early_least=0, early_rare_share=0.1)
    passed = early_filter(objects, Counter(each.label for each in objects), chosen)
    assert Counter(passed.values()) == {KEYWORD: 100, RANDOM: 50}


def test_few_objects_and_a_skipped_filter_pass_all():
    few = found_objects({"car": 600})
    assert set(early_filter(few, Counter({"car": 600}), MiningSettings()).values()) == {ALL}
    many = found_objects({"car": 700})
    assert len(early_filter(many, Counter({"car": 700}), MiningSettings(skip_early_filter=True))) == 700
    assert early_filter([], {}, MiningSettings()) == {}


def test_the_surest_boxes_of_a_frame_count():
    boxes = [box_row("f", n, "car", 0.3 + n / 100, (60 * n, 0, 60 * n + 50, 40)) for n in range(60)]
    boxes.append(box_row("f", 99, "car", 0.1, (0, 100, 50, 140)))
    boxes.append(box_row("f", 98, "car", 0.99, (0, 200, 50, 210)))
    found = objects_of_boxes(boxes, "street", MiningSettings())
    assert len(found) == 50
    assert min(each.confidence for each in found) == 0.4


def test_one_thing_with_two_names_is_one_object_with_the_surer():
    boxes = [
        box_row("f", 1, "cow", 0.5, (10, 10, 110, 90)),
        box_row("f", 2, "dog", 0.7, (11, 10, 111, 91)),
        box_row("f", 3, "person", 0.6, (10, 10, 60, 90)),
    ]
    assert [each.label for each in objects_of_boxes(boxes, "street", MiningSettings())] == ["dog", "person"]
    assert len(objects_of_boxes(boxes, "street", MiningSettings(same_iou=1.0))) == 3


def test_only_asked_classes_count():
    boxes = [box_row("f", 1, "Car", 0.5, (0, 0, 50, 50)), box_row("f", 2, "dog", 0.5, (60, 0, 99, 50))]
    found = objects_of_boxes(boxes, "street", MiningSettings(classes=("car", "cat")))
    assert [each.label for each in found] == ["Car"]


def test_an_object_is_known_by_its_pixels():
    assert object_id("f", (1.2, 2.0, 30.4, 40.0), 0.0) == object_id("f", (1.0, 2.2, 30.0, 40.1), 0.0)
    assert len({object_id(f, (1, 2, 30, 40), m) for f in ("f", "g") for m in (0.0, 0.1)}) == 4
