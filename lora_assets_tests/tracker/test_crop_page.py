"""The page of one large crop: what it says, its pictures, where it leads, and what other trackers and the log know."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lora_assets.models.registry import CHECK, WEIGHTS, pinned_sha256
from lora_assets.specs import TrackerSpec, dataset_slug, write_tracker
from lora_assets.store import Store, atomic_write_json, digest
from lora_assets.tables import Detection, Mask, ScoredCrop, from_table, to_table
from lora_assets.tracker.findings import findings_of, place_of
from lora_assets.tracker.language import read_labels
from lora_assets.tracker.marking import VerdictBook
from lora_assets.verdicts import Mark, open_log
from lora_assets.vision.checks import CHECKS, CODE_VERSION
from lora_assets.vision.masks import encode_mask, mask_pixels
from lora_assets_tests.tracker.conftest import Client
from lora_assets_tests.tracker.drawn_data import EVIL, JAPANESE, RUN_ID, TRACKER

SLUG = dataset_slug(JAPANESE)
PAGE = f"/tracker/{TRACKER}"
EN = read_labels("en")


def table_rows(data: Path, stage: str, row_type: type, tracker: str = TRACKER, slug: str = SLUG) -> list[Any]:
    table = Store(data).cell_table(stage, slug, tracker)
    assert table is not None
    return from_table(table.read(), row_type)


def crops_of(data: Path) -> list[ScoredCrop]:
    return table_rows(data, "scored_crops", ScoredCrop)


def box_of(data: Path, crop: ScoredCrop) -> tuple[float, float, float, float]:
    found = next(d for d in table_rows(data, "detections", Detection) if d.detection_id == crop.detection_id)
    return found.x1, found.y1, found.x2, found.y2


def url_of(crop: ScoredCrop, query: str = "") -> str:
    return f"{PAGE}/crop/{crop.crop_id}?in={SLUG}&box={crop.detection_id}{query}"


def publish_again(data: Path, stage: str, rows: list[Any], row_type: type, **facts: Any) -> None:
    store = Store(data)
    table = store.cell_table(stage, SLUG, TRACKER)
    assert table is not None
    told = {**table.facts, **facts}
    store.publish(table.path, row_type, [to_table(rows, row_type)], digest(stage, facts, len(rows)), told)


def picture(client: Client, url: str) -> np.ndarray:
    answer = client.get(url)
    assert answer.status_code == 200, (url, answer.text)
    with Image.open(io.BytesIO(answer.content)) as opened:
        return np.asarray(opened)


# --- findings --------------------------------------------------------------------------------------------------------


@given(
    value=st.floats(-1e6, 1e6),
    direction=st.sampled_from(["above", "below"]),
    low=st.sampled_from([0.0, 1.0]),
    span=st.floats(0.01, 0.99),
    high=st.sampled_from([None, 1.0, 128.0]),
)
def test_the_limit_stands_in_the_middle_and_worse_is_right(value, direction, low, span, high):
    limit = low + span * ((high or 400.0) - low) if high is None or high > low else low
    place = place_of(value, limit, direction, low, high)
    assert 0.0 <= place <= 100.0
    worse = value > limit if direction == "above" else value < limit
    better = value < limit if direction == "above" else value > limit
    assert not worse or place >= 50.0
    assert not better or place <= 50.0
    further = place_of(value + (1.0 if direction == "above" else -1.0), limit, direction, low, high)
    assert further >= place - 1e-6


def test_all_checks_are_told_flagged_ones_first_and_unmeasured_ones_said(drawn: Path):
    crop = next(crop for crop in crops_of(drawn) if crop.flags == ["cut_body"])
    limit = next(check.limit for check in CHECKS if check.name == "text_over")
    crop = replace(crop, box_gap=0.1, support=None, text_share=0.975 * limit, body_completeness=0.1)
    found = findings_of(crop, {"code_version": f"2.{CODE_VERSION}.2.1", "settings": {"limits": {"blurred": 0.55}}})
    lines = [*found.flagged, *found.passed, *found.unmeasured]
    assert sorted(line.name for line in lines) == sorted(check.name for check in CHECKS)
    assert [line.name for line in found.flagged] == ["cut_body"]
    assert (found.flagged[0].value, found.flagged[0].limit) == (crop.flag_values[0], crop.flag_limits[0])
    assert "unsupported" in [line.name for line in found.unmeasured]
    passed = {line.name: line for line in found.passed}
    assert passed["text_over"].place == pytest.approx(48.8, abs=0.1)
    assert passed["incomplete_body"].uncounted
    assert {line.name: line.limit for line in lines}["blurred"] == 0.55
    assert not found.rules_then
    assert findings_of(crop, {"code_version": "2.1.2.1"}).rules_then == "1"


def test_a_score_that_is_too_low_is_told_in_the_words_of_the_page(drawn: Path):
    crop = crops_of(drawn)[0]
    why = next(iter(CHECKS)).why
    low = "the score 0.42 is under 0.8 (weak: detector confidence, edge quality)"
    found = findings_of(replace(crop, reasons=[why, low, "words of another time"]), {})
    assert (found.under, found.weak) == (0.8, ("detector_confidence", "edge_quality"))
    assert found.reasons == ("words of another time",)
    assert findings_of(replace(crop, reasons=["the score 0.7 is under 0.75"]), {}).weak == ()
    assert findings_of(replace(crop, reasons=[why]), {}).under is None


def test_networks_that_changed_since_the_crop_was_judged_are_named(drawn: Path):
    crop = crops_of(drawn)[0]
    today = {one.name: pinned_sha256(one) for one in WEIGHTS if one.task == CHECK}
    used = [{"name": name, "sha256": sha256, "starter": False} for name, sha256 in today.items()]
    assert findings_of(crop, {"weights": used}).networks_then == ()
    used[0] = {**used[0], "sha256": "ab" * 32}
    assert findings_of(crop, {"weights": used}).networks_then == (used[0]["name"],)
    for nothing in (None, [], [None]):
        assert findings_of(crop, {"weights": nothing}).networks_then == ()


def test_the_page_tells_of_changed_networks_and_links_to_its_own_partition(own: Path, client_of):
    crops = crops_of(own)
    used = [{"name": "starter-critic", "sha256": "ab" * 32, "starter": False}]
    publish_again(own, "scored_crops", crops, ScoredCrop, weights=used)
    text = client_of(own).get(url_of(crops[0])).text
    assert "Judged by an earlier mask critic" in text
    # Without the view, Dagster shows the partition that was made last.
    assert f"assets/scored_crops?partition={quote(f'{SLUG}|{TRACKER}')}&amp;view=partitions" in text


def test_the_factors_make_the_score(drawn: Path):
    crop = crops_of(drawn)[0]
    checks = {check.name: check for check in CHECKS}
    names = ["blurred", "left_out", "cut_body", "background_left", "box_shaped"]
    values = [0.05, 0.1, 0.5, 0.1, 0.99]
    crop = replace(
        crop, flags=names, flag_values=values, flag_limits=[checks[n].limit for n in names], is_valid_content=True
    )
    found = findings_of(crop, {})
    factors = {line.name: line.factor for line in found.flagged}
    assert factors["blurred"] == 0.45
    assert sorted([factors["left_out"], factors["cut_body"]]) == [0.7, 1.0], "one group counts once"
    assert (factors["background_left"], factors["box_shaped"]) == (1.0, 0.45)
    assert [line.name for line in found.factors] == [line.name for line in found.flagged if line.factor < 1]
    assert not found.veto_caps


def test_a_finding_of_a_check_that_is_gone_is_still_told(drawn: Path):
    crop = replace(crops_of(drawn)[0], flags=["a_retired_check"], flag_values=[0.7], flag_limits=[0.5])
    found = findings_of(crop, {})
    assert [(line.name, line.value, line.limit) for line in found.flagged] == [("a_retired_check", 0.7, 0.5)]
    assert findings_of(crop, {"settings": "nonsense", "code_version": None}).flagged == found.flagged


# --- the page --------------------------------------------------------------------------------------------------------


def test_every_check_and_every_step_is_on_the_page(client: Client, drawn: Path):
    for crop in crops_of(drawn)[:3]:
        text = html.unescape(client.get(url_of(crop)).text)
        for check in CHECKS:
            assert EN(f"flag.{check.name}") in text
            assert EN(f"why.{check.name}") in text
        assert text.count("not measured") >= 1
        for step in ("frame", "detection", "segments", "masks", "scored_crops"):
            assert f"<h3>{EN(f'step.{step}')}</h3>" in text
        for part in (crop.frame_sha256, crop.crop_id, f"{crop.score:.3f}", "94a8ceb"[:0] + "abababababab"):
            assert part in text
        assert f"http://127.0.0.1:3000/runs/{RUN_ID}" in text
        both = f"{SLUG}%7C{TRACKER}"
        for asset, partition in (("raw_frames", SLUG), ("detections", both), ("masks", both), ("scored_crops", both)):
            assert f"http://127.0.0.1:3000/assets/{asset}?partition={partition}" in text


def test_settings_of_the_tracker_stand_out_from_those_that_it_left_alone(client: Client, drawn: Path):
    text = client.get(url_of(crops_of(drawn)[0])).text
    given = re.findall(r'<p class="given">.*?</p>', text)
    assert len(given) == 1
    assert "<b>conf</b> 0.25" in given[0], "what was used is told, not what the file says today"
    assert "starter-yolo" not in given[0]


def test_pages_in_all_languages_and_without_a_word_missing(client: Client, drawn: Path):
    url = url_of(crops_of(drawn)[0])
    for language, word in (("ja", "来歴"), ("zh-TW", "來源"), ("en", "Where it comes from")):
        answer = client.get(url, Accept_Language=language)
        assert answer.status_code == 200
        assert word in answer.text or language == "zh-TW"


class _Unsafe(HTMLParser):
    """Elements and attributes that a hostile text could have made."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if names or (tag == "script" and not dict(attrs).get("src")) or dict(attrs).get("src") == "x":
            self.found.append(f"{tag} {names}")


@pytest.mark.parametrize("note", [EVIL, "<script>alert(1)</script>", "‮gnp.exe‬", "x" * 4000, "改行\nあり"])
def test_hostile_notes_and_captions_are_text(own: Path, client_of: Callable[[Path], Client], note: str):
    crop = crops_of(own)[0]
    with open_log(own) as log:
        log.append(Mark(TRACKER, SLUG, crop.frame_sha256, box_of(own, crop), crop.crop_id, "bad", "r1", note=note))
    captions = Store(own).table_path("captions", TRACKER)
    captions.parent.mkdir(parents=True)
    facts = {b"lora_assets.facts": json.dumps({"version": "1"}).encode()}
    pq.write_table(
        pa.table(
            {"crop_id": ["0" * 32, crop.crop_id], "caption": ["a caption of another crop", note]}
        ).replace_schema_metadata(facts),
        captions,
    )
    text = client_of(own).get(url_of(crop)).text
    parser = _Unsafe()
    parser.feed(text)
    assert parser.found == []
    assert html.unescape(text).count(note) >= 3, "in the field, in the history and as the caption"
    assert "a caption of another crop" not in text


def test_without_captions_there_is_none_and_a_damaged_table_is_none(own: Path, client_of: Callable[[Path], Client]):
    crop = crops_of(own)[0]
    assert "Caption" not in client_of(own).get(url_of(crop)).text
    captions = Store(own).table_path("captions", TRACKER)
    captions.parent.mkdir(parents=True)
    captions.write_bytes(b"PAR1 no")
    assert client_of(own).get(url_of(crop)).status_code == 200


@pytest.mark.parametrize(("score", "tier", "shown"), [(0.79996, "medium", "0.799"), (0.49996, "low", "0.499")])
def test_a_score_never_looks_like_one_of_the_tier_above(
    own: Path, client_of: Callable[[Path], Client], score: float, tier: str, shown: str
):
    rows = crops_of(own)
    publish_again(own, "scored_crops", [replace(row, score=score, tier=tier) for row in rows], ScoredCrop, again=tier)
    several = next(row for row in rows if sum(row.frame_sha256 == other.frame_sha256 for other in rows) > 1)
    text = client_of(own).get(url_of(several)).text
    assert f'<span class="big-score">{shown}</span>' in text
    assert f'<span class="tile-score">{shown[:4]}</span>' in text, "the other crop of the frame"
    assert f"{score:.3f}" not in text


# --- pictures --------------------------------------------------------------------------------------------------------


def with_segments(data: Path, crop: ScoredCrop) -> Mask:
    """Put the mask before refinement on its shelf: half of the refined one."""
    masks = table_rows(data, "masks", Mask)
    row = next(mask for mask in masks if mask.detection_id == crop.detection_id)
    pixels = mask_pixels(row).copy()
    pixels[: row.height // 2] = False
    before = replace(row, rle=encode_mask(pixels), area=int(pixels.sum()))
    recipe = "0123456789abcdef"
    store = Store(data)
    store.shelf("segments", recipe, Mask).append(to_table([before], Mask), [crop.frame_sha256])
    atomic_write_json(
        data / "store" / "segments" / recipe / "recipe.json",
        {"stage": "segments", "code_version": "9.8.7", "runtime": "torch", "settings": {"multimask": True}},
    )
    publish_again(data, "masks", masks, Mask, segments_recipe=recipe)
    return before


def test_the_mask_before_refinement_is_shown_against_the_one_after(own: Path, client_of: Callable[[Path], Client]):
    crop = next(crop for crop in crops_of(own) if crop.has_picture)
    before = with_segments(own, crop)
    client = client_of(own)
    text = client.get(url_of(crop)).text
    assert f"{PAGE}/mask-before/{crop.crop_id}.png" in text
    assert "9.8.7" in text
    cut = picture(client, f"{PAGE}/before/{crop.crop_id}.png")
    for kind in ("before", "mask-before"):  # the shelf may be cleared
        kept = client.get(f"{PAGE}/{kind}/{crop.crop_id}.png").headers["cache-control"]
        assert kept == "private, no-store"
    after = picture(client, f"{PAGE}/cutout/{crop.crop_id}.png")
    assert cut.shape == after.shape, "the two lie over each other"
    assert np.count_nonzero(cut[..., 3]) == before.area
    overlay = picture(client, f"{PAGE}/mask-before/{crop.crop_id}.png")
    assert np.count_nonzero(overlay[..., 3]) == before.area


def test_without_the_shelf_the_bare_frame_is_shown(client: Client, drawn: Path):
    crop = crops_of(drawn)[0]
    text = client.get(url_of(crop)).text
    assert "mask-before" not in text
    bare = picture(client, f"{PAGE}/before/{crop.crop_id}.png")
    assert bare.shape == (crop.height, crop.width, 3)
    assert client.get(f"{PAGE}/mask-before/{crop.crop_id}.png").status_code == 404


def test_neighbours_lie_over_the_frame_and_are_a_step_away(client: Client, drawn: Path):
    crops = crops_of(drawn)
    pair = [crop for crop in crops if sum(crop.frame_sha256 == other.frame_sha256 for other in crops) == 2]
    assert len(pair) == 2
    text = html.unescape(client.get(url_of(pair[0])).text)
    assert f"{PAGE}/neighbour/{pair[1].crop_id}.png" in text
    assert f"{PAGE}/crop/{pair[1].crop_id}" in text
    assert text.count('class="box box-own"') == text.count('class="box box-neighbour"') == 1
    own = picture(client, f"{PAGE}/mask/{pair[1].crop_id}.png")
    other = picture(client, f"{PAGE}/neighbour/{pair[1].crop_id}.png")
    assert np.array_equal(own[..., 3] > 0, other[..., 3] > 0)
    assert tuple(own[own[..., 3] == 255][0][:3]) != tuple(other[other[..., 3] == 255][0][:3])


def test_a_crop_that_was_extracted_again_shows_the_mask_that_it_was_cut_with(
    own: Path, client_of: Callable[[Path], Client]
):
    rows = crops_of(own)
    mask = next(m for m in table_rows(own, "masks", Mask) if m.detection_id == rows[0].detection_id)
    second = np.ones((20, 30), np.bool_)
    rows[0] = replace(
        rows[0], extracted_again=True, second_window=[5.0, 6.0, 30.0, 20.0], second_rle=encode_mask(second)
    )
    publish_again(own, "scored_crops", rows, ScoredCrop)
    client = client_of(own)
    text = client.get(url_of(rows[0])).text
    assert f'mask/{rows[0].crop_id}.png" x="5" y="6" width="30" height="20"' in text
    assert f'mask-before/{rows[0].crop_id}.png" x="{mask.x}" y="{mask.y}"' in text, "the first mask is the one before"
    assert EN("crop.again_kept") in text


def test_a_large_frame_is_served_whole_for_zooming_only(client: Client, drawn: Path):
    crop = crops_of(drawn)[0]
    assert "data-whole" not in client.get(url_of(crop)).text
    whole = picture(client, f"{PAGE}/whole/{crop.frame_sha256}.jpg")
    assert whole.shape == (180, 320, 3)


@pytest.mark.parametrize("kind", ["before", "mask-before", "neighbour", "whole"])
@pytest.mark.parametrize("name", ["0" * 32, "..%2f..%2fpassword", "A" * 32, "x", "%00", "0" * 65])
def test_unknown_pictures_are_404(client: Client, kind: str, name: str):
    suffix = ".jpg" if kind == "whole" else ".png"
    assert client.get(f"{PAGE}/{kind}/{name}{suffix}").status_code == 404


# --- before and behind -----------------------------------------------------------------------------------------------


def steps(text: str) -> dict[str, str]:
    return {
        name: html.unescape(url)
        for name, url in re.findall(r'data-(previous|next|unmarked|unmarked-crop)="([^"]*)"', text)
    }


def listed(client: Client, query: str) -> list[str]:
    """The crops of a choice in the order of the grid."""
    text = html.unescape(client.get(f"{PAGE}?{query}").text)
    return list(dict.fromkeys(re.findall(rf'href="{PAGE}/crop/([0-9a-f]+)', text)))


def test_one_steps_through_the_choice_that_one_came_from(client: Client, drawn: Path):
    choice = f"tier=low&sort=worst&dataset={SLUG}"
    low = listed(client, choice)
    assert {crop.crop_id for crop in crops_of(drawn) if crop.tier == "low"} == set(low)
    url = url_of(next(crop for crop in crops_of(drawn) if crop.crop_id == low[0]), f"&{choice}")
    seen = []
    while url:
        text = client.get(url).text
        seen.append(re.findall(r'data-crop="([0-9a-f]+)"', text)[0])
        assert f"{len(seen)} of {len(low)}" in text
        url = steps(text)["next"]
    assert seen == low
    assert len(seen) > 1
    assert steps(text)["previous"].split("?")[0].endswith(seen[-2])


def test_the_next_unmarked_crop_is_behind_those_that_are_marked(own: Path, client_of: Callable[[Path], Client]):
    known = {crop.crop_id: crop for crop in crops_of(own)}
    crops = [known[crop_id] for crop_id in listed(client_of(own), f"dataset={SLUG}")]
    with open_log(own) as log:
        for crop in crops[1:3]:
            log.append(
                Mark(TRACKER, SLUG, crop.frame_sha256, box_of(own, crop), crop.crop_id, "good", f"r{crop.crop_id}")
            )
    found = steps(client_of(own).get(url_of(crops[0], f"&dataset={SLUG}")).text)
    assert found["next"].split("?")[0].endswith(crops[1].crop_id)
    assert found["unmarked-crop"] == crops[3].crop_id


# --- elsewhere -------------------------------------------------------------------------------------------------------


def test_other_trackers_show_the_same_crop_with_tier_and_verdict(own: Path, client_of: Callable[[Path], Client]):
    crop = crops_of(own)[0]
    x1, y1, x2, y2 = box_of(own, crop)
    store = Store(own)
    for name, shift in (("OTHER-1", 2.0), ("OTHER-2", 80.0)):
        write_tracker(own, TrackerSpec(name, (SLUG,)))
        boxes = [
            replace(d, x1=d.x1 + shift, x2=d.x2 + shift)
            for d in table_rows(own, "detections", Detection)
            if d.detection_id == crop.detection_id
        ]
        rows = [replace(crop, tier="high", score=0.9, crop_id="f" * 32)]
        for stage, found, row_type in (("detections", boxes, Detection), ("scored_crops", rows, ScoredCrop)):
            path = store.table_path(stage, SLUG, name)
            store.publish(path, row_type, [to_table(found, row_type)], name, {})
    with open_log(own) as log:
        log.append(Mark("OTHER-1", SLUG, crop.frame_sha256, (x1 + 2, y1, x2 + 2, y2), "f" * 32, "exclude", "r1"))
    (own / "trackers" / "BROKEN.toml").write_text("datasets = 5")
    text = html.unescape(client_of(own).get(url_of(crop)).text)
    assert f"/tracker/OTHER-1/crop/{'f' * 32}" in text
    assert "OTHER-2" not in text
    assert f"{crop.score - 0.9:+.3f}" in text
    table = text[text.index('class="elsewhere"') :]
    assert EN("script.mark_exclude") in table


def test_the_history_tells_every_word_newest_first(own: Path, client_of: Callable[[Path], Client]):
    crop = crops_of(own)[0]
    box = box_of(own, crop)

    def mark(value: str, request: str, **more: Any) -> Mark:
        return Mark(TRACKER, SLUG, crop.frame_sha256, box, crop.crop_id, value, request, **more)

    with open_log(own) as log:
        log.append(mark("good", "r1", stars=4))
        log.append(mark("bad", "r2", note="the left hand"))
        log.undo(crop.crop_id, "r3")
        log.append(replace(mark("bad", "r4"), crop_id="e" * 32, box=tuple(side + 200 for side in box)))
    book = VerdictBook(own)
    text = html.unescape(client_of(own).get(url_of(crop)).text)
    history = text[text.index('<ol class="history">') : text.index("</ol>", text.index('<ol class="history">'))]
    said = re.findall(r"<b>(\w+)</b>", history)
    assert said == ["good", "bad", "good"]
    assert re.findall(r"before: (\w+)", history) == ["bad", "good", "nothing"]
    assert "the left hand" in history
    assert history.count('class="undone"') == 1
    assert len(book.rows_of_frame(crop.frame_sha256)) == 4


def test_a_log_that_cannot_be_read_is_told_and_the_page_stands(own: Path, client_of: Callable[[Path], Client]):
    (own / "verdicts").mkdir()
    (own / "verdicts" / "verdicts.sqlite").write_bytes(b"not a database" * 100)
    answer = client_of(own).get(url_of(crops_of(own)[0]))
    assert answer.status_code == 200
    assert "verdicts.sqlite" in answer.text


def test_a_crop_that_is_gone_is_404(own: Path, client_of: Callable[[Path], Client]):
    crops = crops_of(own)
    client = client_of(own)
    assert client.get(url_of(crops[0])).status_code == 200
    publish_again(own, "scored_crops", crops[1:], ScoredCrop)
    answer = client.get(url_of(crops[0]))
    assert answer.status_code == 404
    assert EN("fault.no_crop") in answer.text
    shutil.rmtree(own / "tables" / "masks")
    answer = client.get(url_of(crops[1]))
    assert answer.status_code == 200
    assert EN("word.not_made") in answer.text
