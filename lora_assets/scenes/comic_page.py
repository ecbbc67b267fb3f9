"""A comic page put together: style, story and cast, its art, then signs, sounds, bubbles, borders and truth.

Entry and records are in comic.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import skia

from lora_assets.scenes.comic import BUBBLE, CHARACTER, PANEL, TEXT, ComicInstance, ComicPage, instance
from lora_assets.scenes.comic_bubbles import draw_bubble
from lora_assets.scenes.comic_frames import NONE, SURFACES, Frame, draw_frame
from lora_assets.scenes.comic_layout import (
    HELD_OUT_LAYOUTS,
    LAYOUTS,
    LEFT_TO_RIGHT,
    RIGHT_TO_LEFT,
    SHARES,
    PageLayout,
    Panel,
    draw_layout,
)
from lora_assets.scenes.comic_lettering import HANDS, block_region, draw_block
from lora_assets.scenes.comic_panel import SIGNS, draw_panel, draw_sign
from lora_assets.scenes.comic_scripts import SCRIPTS, Script
from lora_assets.scenes.comic_speech import Speech, Spot, place_sound, place_speeches
from lora_assets.scenes.design import design_of
from lora_assets.scenes.ink import colour, raster
from lora_assets.scenes.layout import IDENTITIES
from lora_assets.scenes.styles import ink_of
from lora_assets.scenes.tone import grey_print, screentone, sepia_print
from lora_assets.scenes.truth import Box

LEAST_SEEN = 0.0012
"""Share of the page below which what is left of a character is no instance: nobody would mark it."""

LARGE = 0.4
"""Share of the page from which on a panel is the one to remember."""


def _plain(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return image


def _toned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Manga print: lines and black stay solid, light areas stay paper, all between gets one of three tones of dots."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    period = max(2.6, height * float(rng.uniform(0.0032, 0.0052)))
    columns, rows = (np.arange(n, dtype=np.float32) * np.float32(np.pi / period) for n in (width, height))
    screen = np.outer(np.cos(rows), np.cos(columns)) ** 2
    share = np.select([grey > 0.72, grey > 0.54, grey > 0.36, grey > 0.2], [0.0, 0.16, 0.34, 0.56], 1.0)
    soft = cv2.GaussianBlur(share.astype(np.float32), (0, 0), 0.6)
    # Lines are what is darker than all around it: tones may not eat them.
    span = max(3, round(height * 0.006)) | 1
    around = np.asarray(cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((span, span), np.uint8)))
    soft = np.where(around - grey > 0.16, 1.0, soft)
    inked = np.clip((screen - (1 - soft) * 1.02) * 2.4 * period + 0.5, 0, 1)
    dark = np.clip(1 - inked, 0, 1) * 255
    printed = np.where(soft < 0.02, 255, np.where(soft > 0.97, 14, dark)).astype(np.uint8)
    return cv2.cvtColor(printed, cv2.COLOR_GRAY2RGB)


def _newsprint(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Coarse dots in the colours of a cheap print on yellowish paper."""
    height, width = image.shape[:2]
    period = max(3.0, height * float(rng.uniform(0.0045, 0.007)))
    columns, rows = (np.arange(n, dtype=np.float32) * np.float32(np.pi / period) for n in (width, height))
    screen = (np.outer(np.cos(rows), np.cos(columns)) ** 2)[..., None]
    levels = image.astype(np.float32) / 255
    printed = np.where(levels > 0.25, levels + (screen - 0.45) * 0.34 * (1 - levels), levels)
    return np.clip(printed * (255, 250, 232), 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class PageStyle:
    """How a page is inked and printed: styles of figures (styles.STYLES), the print, and whether it has colours."""

    inks: tuple[str, ...]
    finish: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    coloured: bool
    share: float
    paper: bool = False
    """Whether light areas of its pictures come out as bare paper."""


STYLES: dict[str, PageStyle] = {
    "tone": PageStyle(("screentone", "pen"), _toned, False, 0.22, paper=True),
    "screen": PageStyle(("screentone",), screentone, False, 0.04, paper=True),
    "grey": PageStyle(("cel", "pen", "screentone"), grey_print, False, 0.2),
    "line": PageStyle(("line_art",), grey_print, False, 0.14, paper=True),
    "colour": PageStyle(("cel", "bold", "film", "pen"), _plain, True, 0.26),
    "newsprint": PageStyle(("screentone", "bold"), _newsprint, True, 0.1),
    "sepia": PageStyle(("pen", "sketch"), sepia_print, False, 0.04),
}
DRAFTS, BLANK_IN_DRAFTS, BLANK = 0.05, 0.6, 0.03
"""Share of pages that are drafts, and of their panels and of others' that hold nothing yet."""
UNLIKE_DRAWINGS = 0.1
"""Share of pages (where the print allows it) whose pictures are like photographs or paintings."""


@dataclass(frozen=True, slots=True)
class _Laid:
    """A panel on the page: its mask with border (bool HxW), what it offers to speech, and its characters' masks."""

    panel: Panel
    mask: np.ndarray
    spot: Spot
    characters: list[np.ndarray]


def compose_page(
    rng: np.random.Generator, seed: int, width: int, height: int, layouts: str, style: str | None,
    direction: str | None, language: str | None,
) -> ComicPage:  # fmt: skip
    """Draw a page; arguments as those of `comic.draw_comic_page`, whose checks they have passed."""
    name = style or str(rng.choice(list(STYLES), p=[one.share for one in STYLES.values()]))
    language = language or str(rng.choice(["en", "ja"]))
    usual = RIGHT_TO_LEFT if language == "ja" else LEFT_TO_RIGHT
    other = LEFT_TO_RIGHT if language == "ja" else RIGHT_TO_LEFT
    direction = direction or (usual if rng.random() < 0.88 else other)
    layout = draw_layout(rng, width, height, _family(rng, layouts), direction)
    looks = "training" if layouts in LAYOUTS else "held_out" if layouts in HELD_OUT_LAYOUTS else layouts
    page_style = STYLES[name]
    script = SCRIPTS[int(rng.integers(len(SCRIPTS)))]
    ink = ink_of(page_style.inks[int(rng.integers(len(page_style.inks)))], rng)
    designs = [design_of(int(number), looks) for number in rng.integers(IDENTITIES, size=3)]
    line = max(1.4, min(width, height) * float(rng.uniform(0.003, 0.0065)))
    frame = draw_frame(rng, width, height, coloured=page_style.coloured, paper_prints=page_style.paper)
    if frame.kind == NONE:
        layout = replace(layout, panels=tuple(replace(panel, border=False) for panel in layout.panels))
    blank_share = BLANK_IN_DRAFTS if rng.random() < DRAFTS else BLANK
    surface = SURFACES[int(rng.integers(len(SURFACES)))] if rng.random() < UNLIKE_DRAWINGS else None

    art, _ = raster(width, height)
    laid: list[_Laid] = []
    for place, panel in enumerate(layout.panels):
        box = _whole_box(panel.bounds, width, height)
        empty = place > 0 and rng.random() < 0.1
        blank = panel.border and rng.random() < blank_share
        large = (box[2] - box[0]) * (box[3] - box[1]) > LARGE * width * height
        drawn = draw_panel(rng, box[2] - box[0], box[3] - box[1], designs, ink, script.prop,
                           coloured=page_style.coloured, empty=empty, large=large, blank=blank,
                           filled=not panel.border)  # fmt: skip
        picture = drawn.image if surface is None or page_style.paper else surface(drawn.image, rng)
        inside = _filled(panel, frame, width, height)
        rows, columns = slice(box[1], box[3]), slice(box[0], box[2])
        part = art[rows, columns]
        covered = inside[rows, columns]
        part[covered, :3] = picture[covered][:, ::-1]
        part[covered, 3] = 255
        masks = []
        for character in drawn.characters:
            mask = np.zeros((height, width), bool)
            mask[rows, columns] = character.mask & covered
            masks.append(mask)
        spot = Spot(
            room=panel.bounds,
            heads=tuple(_moved(one.head_box or one.box, box) for one in drawn.characters),
            bodies=tuple(_moved(one.box, box) for one in drawn.characters),
            creature=None if drawn.creature is None else _moved(drawn.creature, box),
        )
        outer = _filled(panel, frame, width, height, bordered=panel.border)
        laid.append(_Laid(panel, outer, spot, masks))
    printed = page_style.finish(cv2.cvtColor(art[:, :, :3].copy(), cv2.COLOR_BGR2RGB), rng)

    page, canvas, sheet = _assembled(layout, printed, width, height, frame)
    _signs(rng, canvas, laid, frame, height, coloured=page_style.coloured)
    instances = _speak(rng, canvas, laid, script, language, direction, (width, height), line, page_style, layout.gutter)
    sheet.flushAndSubmit()
    image = cv2.cvtColor(page, cv2.COLOR_BGRA2RGB)
    return ComicPage(_scanned(image, rng), tuple(instances), seed, layout.name, direction, name)


def _family(rng: np.random.Generator, layouts: str) -> str:
    if layouts == "training":
        return str(rng.choice(list(LAYOUTS), p=SHARES))
    if layouts == "held_out":
        return str(rng.choice(list(HELD_OUT_LAYOUTS)))
    return str(rng.choice([*LAYOUTS, *HELD_OUT_LAYOUTS])) if layouts == "all" else layouts


def _whole_box(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The whole pixels of a box inside the page."""
    x0, y0 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    return x0, y0, min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))


def _moved(box: Box, by: tuple[int, int, int, int]) -> Box:
    return box[0] + by[0], box[1] + by[1], box[2] + by[0], box[3] + by[1]


def _filled(panel: Panel, frame: Frame, width: int, height: int, *, bordered: bool = False) -> np.ndarray:
    """The pixels of a panel, with its border when `bordered`."""
    pixels, surface = raster(width, height)
    paint = skia.Paint(Color=0xFFFFFFFF)
    if bordered:
        paint.setStyle(skia.Paint.kStrokeAndFill_Style)
        paint.setStrokeWidth(frame.width)
        paint.setStrokeJoin(skia.Paint.kMiter_Join)
    surface.getCanvas().drawPath(frame.outline(panel.corners), paint)
    return pixels[:, :, 3] > 127


def _assembled(
    layout: PageLayout, printed: np.ndarray, width: int, height: int, frame: Frame
) -> tuple[np.ndarray, skia.Canvas, skia.Surface]:
    """Gutters, the printed art inside the panels, borders: later panels with a free rim over earlier ones."""
    page, surface = raster(width, height)
    canvas = surface.getCanvas()
    canvas.clear(colour(frame.gutter))
    bgra = np.ascontiguousarray(cv2.cvtColor(printed, cv2.COLOR_RGB2BGRA))
    art = skia.Image.fromarray(bgra, skia.kBGRA_8888_ColorType)
    rim = skia.Paint(
        AntiAlias=True, Color=colour(frame.gutter), Style=skia.Paint.kStroke_Style, StrokeWidth=3.4 * frame.width + 2
    )
    for panel in layout.panels:
        path = frame.outline(panel.corners)
        if panel.inset:
            canvas.drawPath(path, rim)
        canvas.save()
        canvas.clipPath(path, doAntiAlias=True)
        canvas.drawImage(art, 0, 0)
        canvas.restore()
        if panel.border:
            frame.draw(canvas, panel.corners)
    return page, canvas, surface


def _signs(
    rng: np.random.Generator, canvas: skia.Canvas, laid: Sequence[_Laid], frame: Frame, height: int, *, coloured: bool
) -> None:  # fmt: skip
    for one in laid:
        for head in one.spot.heads:
            if rng.random() < 0.36 and head[3] - head[1] > 0.05 * height:
                canvas.save()
                canvas.clipPath(frame.outline(one.panel.corners), doAntiAlias=True)
                draw_sign(canvas, rng, SIGNS[int(rng.integers(len(SIGNS)))], head, coloured=coloured)
                canvas.restore()


def _speak(
    rng: np.random.Generator, canvas: skia.Canvas, laid: Sequence[_Laid], script: Script, language: str, direction: str,
    size: tuple[int, int], line: float, style: PageStyle, gutter: float,
) -> list[ComicInstance]:  # fmt: skip
    """Draw sounds and bubbles over the page, and read the truth of all of it."""
    width, height = size
    hand = HANDS[str(rng.choice(list(HANDS)))]
    speeches = place_speeches(rng, [one.spot for one in laid], script, language, direction, size, line, hand,
                              coloured=style.coloured)  # fmt: skip
    over = np.zeros((height, width), bool)
    bubble_masks = [_path_mask(speech, size) for speech in speeches]
    for mask in bubble_masks:
        over |= mask
    sounds: list[tuple[int, np.ndarray, np.ndarray, str]] = []
    taken = [speech.bubble.bounds for speech in speeches]
    for place, one in enumerate(laid):
        if rng.random() > 0.34:
            continue
        sound = place_sound(rng, one.spot, script, language, size, taken, coloured=style.coloured)
        if sound is None:
            continue
        inked, region = block_region(
            sound.block, sound.centre, width, height, outline=True, turn=sound.turn, stretch=sound.stretch
        )
        region = (region | inked) & ~over
        if np.count_nonzero(region & ~over) < 0.85 * np.count_nonzero(region | inked):
            continue
        draw_block(canvas, sound.block, sound.centre, sound.rgb, outline=sound.outline, turn=sound.turn,
                   stretch=sound.stretch)  # fmt: skip
        taken.append(sound.box)
        sounds.append((place, inked, region, sound.words))
    texts: list[np.ndarray] = []
    for speech in speeches:
        draw_bubble(canvas, speech.bubble)
        draw_block(canvas, speech.block, speech.bubble.centre, speech.ink)
        texts.append(block_region(speech.block, speech.bubble.centre, width, height)[1])
    return _truth(laid, speeches, bubble_masks, texts, sounds, gutter)


def _path_mask(speech: Speech, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a bubble with its line."""
    pixels, surface = raster(*size)
    paint = skia.Paint(
        Color=0xFFFFFFFF, Style=skia.Paint.kStrokeAndFill_Style, StrokeWidth=speech.bubble.line,
        StrokeJoin=skia.Paint.kRound_Join,
    )  # fmt: skip
    surface.getCanvas().drawPath(speech.bubble.path, paint)
    return pixels[:, :, 3] > 127


def _truth(
    laid: Sequence[_Laid], speeches: Sequence[Speech], bubbles: Sequence[np.ndarray], texts: Sequence[np.ndarray],
    sounds: Sequence[tuple[int, np.ndarray, np.ndarray, str]], gutter: float,
) -> list[ComicInstance]:  # fmt: skip
    found: list[ComicInstance] = []
    above = np.zeros_like(laid[0].mask)
    visible: list[np.ndarray] = []
    for one in reversed(laid):
        visible.append(one.mask & ~above)
        if one.panel.inset:
            reach = max(1, round(gutter * 0.1))
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
            above |= np.asarray(cv2.dilate(one.mask.view(np.uint8), disc)) > 0
        else:
            above |= one.mask
    panels: dict[int, int] = {}
    for place, mask in enumerate(reversed(visible)):
        made = instance(PANEL, mask)
        if made is not None:
            panels[place] = len(found)
            found.append(made)
    over = np.zeros_like(above)
    shown: list[np.ndarray] = []
    for mask in reversed(bubbles):
        shown.append(mask & ~over)
        over |= mask
    for speech, mask, text in zip(speeches, reversed(shown), texts, strict=True):
        made = instance(BUBBLE, mask, panels.get(speech.panel))
        if made is None:
            continue
        found.append(made)
        held = instance(TEXT, text & mask, len(found) - 1, speech.words)
        if held is not None:
            found.append(held)
    for place, inked, region, words in sounds:
        made = instance(TEXT, region, panels.get(place), words)
        if made is not None:
            found.append(made)
        over |= inked
    least = LEAST_SEEN * above.size
    for place, one in enumerate(laid):
        hidden = over | ~visible[len(laid) - 1 - place]
        for mask in one.characters:
            left = mask & ~hidden
            if np.count_nonzero(left) >= least and (made := instance(CHARACTER, left, panels.get(place))) is not None:
                found.append(made)
    return found


def _scanned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What paper and scanner do: a tint, a little blur, a little grain."""
    if rng.random() < 0.3:
        tint = np.array(((255, 250, 238), (248, 248, 252), (255, 252, 246))[int(rng.integers(3))], np.float32) / 255
        image = (image * tint).astype(np.uint8)
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.8))))
    if rng.random() < 0.25:
        grain = rng.normal(0, float(rng.uniform(1, 4)), image.shape[:2])
        image = np.clip(image + grain[..., None], 0, 255).astype(np.uint8)
    return image
