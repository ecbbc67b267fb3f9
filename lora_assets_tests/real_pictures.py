"""What is really in the real test pictures, written down by eye: a typed reader of `real_pictures.csv` and the rules
of its tiers.

The pictures themselves are not in the repository; the table names them by their path below the folder of test
pictures. It holds one row per character and one row (character 0) for a picture without any. Measuring something
against this table belongs in the tests and benchmarks that do it; drawn scenes with exact truth belong in
`lora_assets.scenes`.

How the columns are meant
- `box`: the whole visible figure in pixels, x0 y0 x1 y1, with hair, clothes and worn things; long held things
  (sword, staff, umbrella, racket) are left out and named in `note`. Read by eye at a ruler: right to about
  2 % of the picture's longer side by estimate, not by a second reading.
- `face`: from brow or hair line to chin, ear to ear; the head where the face is turned away; empty where neither
  can be told.
- `framing`: face (to the neck), bust (to the chest), half (to the hips or knees), full (to the feet, sitting too),
  cut (parts only, no usable head). `cut_by` names the edges of the frame, or of an inset, that cut the figure.
- `head`: whole; grazed (hat cut, or at most a tenth of the head's height lost); cut (a tenth to a third lost); out
  (no usable head).
- `hidden`: share of the figure behind others or things: none, little (at most a tenth), part (at most a third),
  much (more).
- `covered`: text, logo or drawn marks over the figure: none, small (less than a twentieth of the box, not on the
  face), large, face.
- `neighbours`: listed characters whose pixels lie inside the box. `unlisted`: animals, blurred or tiny people
  without a row, in the whole picture. `rough_iou`: best overlap with the older boxes in
  truth/characters_rough_boxes.csv, empty where they have none.
- `defects` that end in `_beside`, and letterbox, inset, compression and edge_line, lie outside the figure or harm
  nothing by themselves.

What tier a careful person gives to a PERFECT crop of the character: the figure of this row, cut out exactly,
neighbours removed
- high (train as it is): one character only; face in view and sharp; as complete as the frame shows it, the head at
  most grazed; at most a tenth hidden; nothing written over it; longer side of the figure at least 256 px and of the
  face at least 48 px; neither black nor flat. A figure that the frame cuts below the head is complete "as drawn":
  bust and half pictures are good pictures.
- medium (small mending by hand): exactly one mild shortfall: head cut; face partly hidden or turned away; figure
  partly hidden; small text over it; soft; figure of 160 to 255 px or face of 28 to 47 px; very dark; garbled by an
  image generator.
- low: one grave shortfall (no head; no face to be told; more than a third hidden; text over the face or over much
  of the figure; blurred; figure under 160 px or face under 28 px; a silhouette, or flat), or two mild ones.
- unsure: the rules give a tier but a careful person may well differ (upside down, an animal, other things woven
  into the figure). Such rows are not scored. `none` is the tier of a picture without a character.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

TABLE = Path(__file__).with_name("real_pictures.csv")

Box = tuple[int, int, int, int]
Tier = Literal["high", "medium", "low", "unsure", "none"]

HIGH_FIGURE, HIGH_FACE = 256, 48
LEAST_FIGURE, LEAST_FACE = 160, 28

_WORDS: dict[str, frozenset[str]] = {
    "medium": frozenset({"anime", "cel_3d", "cg", "illustration", "generated", "sketch", "page", "photo"}),
    "kind": frozenset({"person", "creature", "robot", "animal", ""}),
    "face_seen": frozenset({"clear", "partly", "away", "none"}),
    "head": frozenset({"whole", "grazed", "cut", "out"}),
    "framing": frozenset({"face", "bust", "half", "full", "cut", "none"}),
    "legs": frozenset({"whole", "cut", "hidden", "none"}),
    "hidden": frozenset({"none", "little", "part", "much"}),
    "covered": frozenset({"none", "small", "large", "face"}),
    "sharpness": frozenset({"sharp", "soft", "blurred"}),
    "tier": frozenset(get_args(Tier)),
}
_PARTS = frozenset({"head", "torso", "arms", "legs"})
_EDGES = frozenset({"left", "top", "right", "bottom"})
DEFECTS = frozenset(
    {"subtitle", "text_beside", "logo", "logo_beside", "watermark_beside", "marks", "letterbox", "inset", "edge_line"}
    | {"blur", "compression", "artefacts", "dark", "flat", "faded", "dimmed", "silhouette"}
)


@dataclass(frozen=True, slots=True)
class RealCharacter:
    """One row: a character, or (character 0) a picture without any. Boxes are x0, y0, x1, y1 in pixels."""

    file: str
    width: int
    height: int
    medium: str
    character: int
    kind: str
    box: Box | None
    face: Box | None
    face_seen: str
    head: str
    framing: str
    parts: frozenset[str]
    legs: str
    cut_by: frozenset[str]
    hidden: str
    covered: str
    sharpness: str
    neighbours: int
    defects: frozenset[str]
    unlisted: int
    tier: Tier
    rough_iou: float | None
    note: str

    @property
    def scored(self) -> bool:
        """Whether a measured tier may be compared with this row's."""
        return self.tier not in ("unsure", "none")

    def __post_init__(self) -> None:
        for column, words in _WORDS.items():
            if getattr(self, column) not in words:
                raise self._error(f"{column} {getattr(self, column)!r} is not one of {sorted(words)}")
        for column, words in (("parts", _PARTS), ("cut_by", _EDGES), ("defects", DEFECTS)):
            if unknown := getattr(self, column) - words:
                raise self._error(f"{column} has unknown words {sorted(unknown)}")
        if min(self.width, self.height) < 1 or min(self.character, self.neighbours, self.unlisted) < 0:
            raise self._error("a size below 1 or a count below 0")
        if self.character == 0:
            if self.box or self.face or self.parts or (self.tier, self.framing, self.kind) != ("none", "none", ""):
                raise self._error("a picture without a character has no box, parts, framing, kind or tier")
        elif self.box is None or "none" in (self.tier, self.framing) or not self.kind or not self.parts:
            raise self._error("a character has a box, a kind, parts, a framing and a tier")
        for box in (self.box, self.face):
            if box and not (0 <= box[0] < box[2] <= self.width and 0 <= box[1] < box[3] <= self.height):
                raise self._error(f"box {box} is empty or leaves the picture of {self.width} x {self.height}")
        if self.box and self.face and not _holds(self.box, self.face):
            raise self._error(f"face {self.face} leaves the figure {self.box}")

    def _error(self, reason: str) -> ValueError:
        return ValueError(f"{TABLE.name}: {self.file}, character {self.character}: {reason}")


def _holds(outer: Box, inner: Box) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def _longer_side(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def grave_shortfalls(row: RealCharacter) -> list[str]:
    """What alone makes a perfect crop of the character low, by the rules at the top."""
    figure, face = row.box and _longer_side(row.box), row.face and _longer_side(row.face)
    tests = {
        "only parts, no usable head": row.framing == "cut" or row.head == "out",
        "no face to be told": row.face_seen == "none",
        "more than a third hidden": row.hidden == "much",
        "text over the face or much of the figure": row.covered in ("large", "face"),
        "blurred": row.sharpness == "blurred",
        "too small": (figure is not None and figure < LEAST_FIGURE) or (face is not None and face < LEAST_FACE),
        "a silhouette, or flat": bool(row.defects & {"silhouette", "flat"}),
    }
    return [reason for reason, there in tests.items() if there]


def mild_shortfalls(row: RealCharacter) -> list[str]:
    """What alone makes a perfect crop medium, and two of which make it low, by the rules at the top."""
    figure, face = row.box and _longer_side(row.box), row.face and _longer_side(row.face)
    tests = {
        "head cut": row.head == "cut",
        "face partly hidden or turned away": row.face_seen in ("partly", "away"),
        "partly hidden": row.hidden == "part",
        "small text over it": row.covered == "small",
        "soft": row.sharpness == "soft",
        "rather small": (figure is not None and figure < HIGH_FIGURE) or (face is not None and face < HIGH_FACE),
        "very dark": "dark" in row.defects,
        "garbled": "artefacts" in row.defects,
    }
    return [reason for reason, there in tests.items() if there]


def tier_by_rules(row: RealCharacter) -> Tier:
    """The tier that the written rules give to a perfect crop of the character."""
    if row.character == 0:
        return "none"
    mild = mild_shortfalls(row)
    if grave_shortfalls(row) or len(mild) > 1:
        return "low"
    return "medium" if mild else "high"


def read_real_pictures(path: Path = TABLE) -> tuple[RealCharacter, ...]:
    """All rows in the order of the file. A wrong cell or contradiction raises ValueError with its line."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, cells in enumerate(csv.DictReader(file), start=2):
            try:
                rows.append(_row(cells))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from error
    return tuple(rows)


def _row(cells: dict[str, str]) -> RealCharacter:
    return RealCharacter(
        file=cells["file"],
        width=int(cells["width"]),
        height=int(cells["height"]),
        medium=cells["medium"],
        character=int(cells["character"]),
        kind=cells["kind"],
        box=_box(cells["box"]),
        face=_box(cells["face"]),
        face_seen=cells["face_seen"],
        head=cells["head"],
        framing=cells["framing"],
        parts=frozenset(cells["parts"].split()),
        legs=cells["legs"],
        cut_by=frozenset(cells["cut_by"].split()),
        hidden=cells["hidden"],
        covered=cells["covered"],
        sharpness=cells["sharpness"],
        neighbours=int(cells["neighbours"]),
        defects=frozenset(cells["defects"].split()),
        unlisted=int(cells["unlisted"]),
        tier=cells["tier"],  # pyright: ignore[reportArgumentType]  checked against the words when the row is made
        rough_iou=float(cells["rough_iou"]) if cells["rough_iou"] else None,
        note=cells["note"],
    )


def _box(cell: str) -> Box | None:
    if not cell:
        return None
    numbers = [int(number) for number in cell.split()]
    if len(numbers) != 4:
        raise ValueError(f"a box has four numbers, not {cell!r}")
    return numbers[0], numbers[1], numbers[2], numbers[3]
