"""The sample film as data: its characters, its shots and what happens in each. Drawing and writing are in film.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from lora_assets.scenes.design import Design
from lora_assets.scenes.pose import Expression

HANA = Design(
    identity=100_001, heads=5.2, skin=(255, 228, 210), hair=(238, 132, 152), hair_shape="long", fringe="locks",
    fringe_seed=4_011, hair_length=1.35, eye=(70, 160, 120), eye_size=1.16, eye_tilt=0.02, jaw=0.97, outfit="uniform",
    legwear="skirt", cloth=(248, 248, 250), cloth_two=(52, 70, 130), accent=(218, 62, 74), boots=(92, 58, 46),
    ribbon=True, glasses=False, hat="", scarf=False, build=0.98,
)  # fmt: skip
REN = Design(
    identity=100_002, heads=5.7, skin=(250, 212, 186), hair=(58, 66, 118), hair_shape="spiky", fringe="swept",
    fringe_seed=907, hair_length=0.8, eye=(206, 142, 44), eye_size=0.96, eye_tilt=-0.08, jaw=1.03, outfit="hoodie",
    legwear="trousers", cloth=(240, 150, 62), cloth_two=(66, 74, 96), accent=(90, 170, 160), boots=(240, 240, 242),
    ribbon=False, glasses=False, hat="", scarf=False, build=1.05,
)  # fmt: skip
MIMI = Design(
    identity=100_003, heads=2.9, skin=(255, 226, 206), hair=(246, 214, 130), hair_shape="twintails", fringe="straight",
    fringe_seed=1_203, hair_length=0.55, eye=(84, 130, 214), eye_size=1.3, eye_tilt=0.0, jaw=1.0, outfit="dress",
    legwear="skirt", cloth=(150, 120, 200), cloth_two=(240, 230, 244), accent=(250, 206, 90), boots=(110, 70, 60),
    ribbon=False, glasses=False, hat="cat_ears", scarf=False, build=1.0,
)  # fmt: skip

FACES: dict[str, Expression] = {
    "smile": Expression("smile"),
    "happy": Expression("open", lids=0.0, blush=True),
    "talk": Expression("open"),
    "grin": Expression("grin", brow=0.4),
    "shy": Expression("small", lids=0.8, blush=True, gaze=(-0.8, 0.4)),
    "calm": Expression("smile", lids=0.85),
    "angry": Expression("frown", brow=-1.0),
    "surprise": Expression("open", lids=1.1, brow=1.2),
    "sleepy": Expression("flat", lids=0.5),
    "wink": Expression("grin", wink=True, blush=True),
    "dream": Expression("smile", lids=0.0),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """A character in a shot: where its chin is across the frame (0 left, 1 right), its pose and how it changes.

    `arms`, `legs` and `faces` are keys of the pose tables, taken in turn from frame to frame; `walk` is the way across
    the frame per frame (frame widths), `nearer` scales the framing's size, `lower` moves down (frame heights).
    """

    design: Design
    x: float
    yaw: float
    mirrored: bool = False
    arms: tuple[str, ...] = ("stand",)
    legs: tuple[str, ...] = ("stand",)
    faces: tuple[str, ...] = ("smile",)
    walk: float = 0.0
    nearer: float = 1.0
    lower: float = 0.0
    tilt: float = 0.0


@dataclass(frozen=True, slots=True)
class Thing:
    """A prop of a shot: where it stands (shares of the frame), its height (frame heights), before the actors or not."""

    name: str
    x: float
    foot: float
    size: float
    seed: int = 0
    front: bool = False
    walk: float = 0.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One shot: place, time of day, framing, who and what is in it, and for how many frames."""

    place: tuple[str, str]
    seed: int
    framing: str
    actors: tuple[Actor, ...]
    frames: int = 4
    things: tuple[Thing, ...] = ()
    view: tuple[float, float, float] = (1.0, 0.0, 0.0)
    subtitle: str = ""
    special: str = ""
    light: tuple[int, int, int] | None = field(default=None)


DAY, CITY, NIGHT, DUSK = ("meadow", "summer"), ("city", "day"), ("city", "night"), ("meadow", "sunset")
CLOSE = (1.5, 0.06, 0.02)

MEADOW: tuple[Shot, ...] = (
    Shot(DAY, 5, "full", (), 1, special="title"),
    Shot(DAY, 5, "full", (Actor(HANA, 0.26, 76, arms=("walk", "stand"), legs=("walk", "stand"), walk=0.05),), 4,
         (Thing("tree", 0.85, 0.82, 0.62, 2), Thing("cat", 0.72, 0.9, 0.11, 1))),
    Shot(DAY, 5, "bust", (Actor(HANA, 0.45, 18, faces=("smile", "happy", "smile"), tilt=-4),), 4, view=CLOSE),
    Shot(DAY, 5, "face", (Actor(HANA, 0.5, 6, faces=("surprise", "surprise", "happy", "happy"), tilt=3),), 4,
         view=(2.1, 0.1, 0.0)),
    Shot(DAY, 5, "half", (Actor(HANA, 0.36, 62, arms=("hip", "wave"), faces=("talk", "smile")),), 4,
         (Thing("cat", 0.66, 0.98, 0.36, 1), Thing("flower", 0.1, 1.0, 0.2, 3, front=True)), CLOSE),
    Shot(DAY, 5, "full", (), 3, (Thing("cat", 0.45, 0.86, 0.16, 1, walk=0.04), Thing("bird", 0.7, 0.35, 0.07, 2)),
         special="empty"),
    Shot(DAY, 5, "full", (Actor(HANA, 0.56, 170, arms=("stand",), legs=("crossed",)),), 3,
         (Thing("tree", 0.12, 0.8, 0.7, 4), Thing("fence", 0.5, 1.0, 0.16, 5, front=True)), (1.1, -0.03, 0.0)),
    Shot(DAY, 5, "bust", (Actor(HANA, 0.62, 38, mirrored=True, arms=("chin", "stand"), faces=("calm", "dream")),), 4,
         view=CLOSE, subtitle="the sky is so blue"),
    Shot(DAY, 5, "half", (Actor(REN, 0.66, 28, mirrored=True, arms=("wave", "point"), faces=("grin", "talk")),
                          Actor(HANA, 0.36, 34, arms=("clasped",), faces=("smile", "happy"))), 5, view=CLOSE),
    Shot(DAY, 5, "bust", (Actor(REN, 0.5, 12, faces=("grin", "wink"), nearer=0.94, lower=0.05),
                          Actor(HANA, 0.62, 20, mirrored=True, faces=("happy", "smile"), nearer=1.0, lower=0.1)), 4,
         view=CLOSE, special="overlap"),
    Shot(DAY, 5, "full", (Actor(HANA, 0.06, 74, mirrored=True, arms=("walk", "stand"), legs=("walk", "run"), walk=-0.02,
                                faces=("talk",), nearer=1.25, lower=0.2),), 3, special="cut"),
    Shot(DAY, 5, "half", (Actor(MIMI, 0.5, 8, arms=("cheer", "wave"), legs=("stand", "hop"), faces=("happy", "wink"),
                                nearer=0.9, lower=0.1),), 4, (Thing("ball", 0.74, 0.96, 0.2, 6),), CLOSE),
    Shot(DUSK, 5, "full", (Actor(HANA, 0.42, 60, arms=("stand",), faces=("calm",)),
                           Actor(REN, 0.6, 60, arms=("both_hips",), faces=("calm",), nearer=1.04)), 4,
         (Thing("tree", 0.9, 0.8, 0.66, 8),), light=(255, 150, 90)),
    Shot(DUSK, 5, "face", (Actor(HANA, 0.44, 30, faces=("shy", "shy", "dream")),), 4, view=(2.0, 0.1, 0.04),
         light=(255, 150, 90)),
    Shot(DUSK, 5, "bust", (Actor(HANA, 0.5, 0, arms=("wave", "cheer"), faces=("happy", "smile")),), 4, view=CLOSE,
         subtitle="see you tomorrow", light=(255, 150, 90)),
    Shot(DUSK, 5, "full", (Actor(HANA, 0.4, 178), Actor(MIMI, 0.53, 178, nearer=0.62)), 2, light=(255, 150, 90)),
    Shot(DUSK, 5, "full", (Actor(HANA, 0.4, 178), Actor(MIMI, 0.53, 178, nearer=0.62)), 2, light=(255, 150, 90),
         special="fade"),
    Shot(DUSK, 5, "full", (), 1, special="black"),
)  # fmt: skip

TOWN: tuple[Shot, ...] = (
    Shot(CITY, 8, "full", (), 2, (Thing("car", 0.2, 0.95, 0.15, 3, walk=0.2),), special="empty"),
    Shot(CITY, 8, "full", (Actor(REN, 0.2, 88, arms=("walk", "stand"), legs=("walk", "stand"), walk=0.09),), 5,
         (Thing("lamp_post", 0.5, 0.93, 0.7, 2, front=True), Thing("car", 0.8, 0.93, 0.17, 9))),
    Shot(CITY, 8, "bust", (Actor(REN, 0.56, 42, mirrored=True, faces=("calm", "talk", "talk")),), 4, view=CLOSE),
    Shot(CITY, 8, "face", (Actor(REN, 0.5, 4, faces=("angry", "angry", "surprise", "surprise"), tilt=-3),), 4,
         view=(2.2, -0.1, 0.1)),
    Shot(("classroom", "day"), 4, "half", (Actor(REN, 0.4, 22, arms=("hip", "point"), faces=("talk", "grin")),), 4,
         (Thing("table", 0.72, 1.05, 0.3, 4, front=True),), subtitle="i will be late"),
    Shot(("corridor", "day"), 2, "full", (Actor(REN, 0.5, 12, arms=("wave", "open"), legs=("stand", "hop"),
                                                faces=("grin", "happy")),), 3),
    Shot(("corridor", "day"), 2, "full", (Actor(HANA, 0.68, 50, mirrored=True, arms=("stand",), faces=("smile",)),
                                          Actor(REN, 0.36, 46, arms=("wave",), faces=("grin",), nearer=1.08)), 4),
    Shot(("room", "dawn"), 6, "bust", (Actor(REN, 0.42, 30, arms=("chin",), faces=("sleepy", "dream")),), 4,
         (Thing("plant", 0.85, 1.0, 0.5, 3),)),
    Shot(("room", "dawn"), 6, "half", (Actor(REN, 0.6, 8, mirrored=True, arms=("cheer", "stand"),
                                             faces=("talk", "sleepy")),), 4, (Thing("cat", 0.26, 0.97, 0.3, 2),)),
    Shot(("sea", "summer"), 3, "full", (Actor(REN, 0.36, 20, arms=("cheer", "open"), legs=("wide", "hop"),
                                              faces=("happy", "grin")),), 4, (Thing("ball", 0.6, 0.93, 0.1, 2),)),
    Shot(("sea", "summer"), 3, "bust", (Actor(REN, 0.48, 28, faces=("happy", "wink"), arms=("wave",)),), 3,
         view=(1.4, 0.0, 0.06)),
    Shot(NIGHT, 8, "half", (Actor(REN, 0.32, 84, arms=("stand", "hip"), faces=("calm", "talk")),
                            Actor(HANA, 0.66, 84, mirrored=True, arms=("clasped",), faces=("shy", "smile"))), 5,
         view=CLOSE, light=(60, 70, 150)),
    Shot(NIGHT, 8, "face", (Actor(HANA, 0.52, 24, mirrored=True, faces=("shy", "smile", "happy")),), 3,
         view=(2.0, 0.1, 0.0), light=(60, 70, 150)),
    Shot(NIGHT, 8, "full", (Actor(REN, 0.45, 176, arms=("stand",)),), 3,
         (Thing("lamp_post", 0.24, 0.9, 0.72, 2), Thing("dog", 0.64, 0.95, 0.15, 1)), light=(60, 70, 150)),
    Shot(("snow", "day"), 2, "half", (Actor(REN, 0.5, 16, arms=("clasped", "both_hips"), faces=("calm", "grin")),), 3),
    Shot(CITY, 8, "half", (Actor(REN, 0.64, 30, mirrored=True, arms=("both_hips",), faces=("grin", "wink")),), 3,
         (Thing("sign", 0.2, 0.98, 0.4, 2, front=True),), CLOSE),
    Shot(CITY, 8, "bust", (Actor(REN, 0.5, 0, faces=("wink",)),), 1, view=CLOSE, special="truncated"),
    Shot(CITY, 8, "bust", (), 1, special="text"),
)  # fmt: skip
