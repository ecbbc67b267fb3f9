"""Masks by clicks: how near a simulated person comes with one, three and five clicks, and how long each answer takes.

A click goes into the middle of the largest wrong patch, as in the work on interactive segmentation (Sofiiuk et al.
2022, "Reviving Iterative Training with Mask Guidance"). Scenes are drawn with looks that no training of the starters
draws. What belongs elsewhere: the models (vision.click_*), the process that the pages ask (tracker.clicking).
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.scenes import SceneFrame
from lora_assets.tracker.clicking import Clicker
from lora_assets.vision.masks import BoolMask, mask_bounds, mask_iou
from lora_assets.vision.prompted import Embedding, Prompted, open_prompted

MOST_CLICKS = 5
TOLD_CLICKS = (1, 3, 5)
FIRST_SEED = 970_000
_CHROMIUM = Path("/usr/bin/chromium")
_LIMIT_MS = 150.0

Answer = Callable[[list[tuple[float, float]], list[int]], list[BoolMask]]


def largest_error(found: BoolMask, truth: BoolMask) -> tuple[tuple[float, float], int]:
    """Where a person would click next: the middle of the largest wrong patch, 1 where it is missing, 0 where it is too
    much. Both masks (H,W)."""
    best = (-1.0, (0.0, 0.0), 1)
    for label, wrong in ((1, truth & ~found), (0, found & ~truth)):
        away = cv2.distanceTransform(np.pad(wrong, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(int(np.argmax(away)), away.shape)
        best = max(best, (float(away[y, x]), (float(x) + 0.5, float(y) + 0.5), label))
    return best[1], best[2]


def clicked_ious(
    model: Prompted, embedding: Embedding, truth: BoolMask, *, box: bool, choosing: bool
) -> tuple[list[float], list[tuple[float, float]]]:
    """IoU after each step (with a box: the box first), and wall and processor milliseconds of each answer.

    `choosing`: the person takes the best of three candidates (keys 1 to 3), else always the first.
    """
    bounds = mask_bounds(truth) or (0, 0, 1, 1)
    corners = (bounds[0], bounds[1], bounds[0] + bounds[2], bounds[1] + bounds[3])
    points: list[tuple[float, float]] = []
    labels: list[int] = []
    found, carry = np.zeros_like(truth), None
    ious: list[float] = []
    taken: list[tuple[float, float]] = []
    for step in range(MOST_CLICKS + box):
        if not box or step:
            point, label = largest_error(found, truth)
            points.append(point)
            labels.append(label)
        begun = (time.perf_counter(), time.process_time())
        told = model.predict(
            embedding, points=points, labels=labels, box=corners if box else None, mask_input=carry
        )  # fmt: skip
        taken.append((1000 * (time.perf_counter() - begun[0]), 1000 * (time.process_time() - begun[1])))
        rated = [mask_iou(mask, truth) for mask in told.masks]
        chosen = int(np.argmax(rated)) if choosing else 0
        found, carry = told.masks[chosen], told.carry[chosen]
        ious.append(rated[chosen])
    return ious, taken


def _scenes(count: int) -> Iterator[tuple[SceneFrame, list[BoolMask]]]:
    """Drawn scenes with the masks of the characters that are asked for (see training.starters)."""
    from lora_assets.training.starters import PERSON, drawn_truth, unseen_scene

    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scene = unseen_scene(seed)
        persons = drawn_truth(scene)[PERSON]
        pairs = zip(persons.characters, persons.ignored, strict=True)
        yield scene, [scene.characters[int(index)].mask for index, ignored in pairs if not ignored]


def measure_clicks(scenes: int, model: str, data: Path, repeats: int, browser: bool) -> list[str]:
    """IoU after clicks and from a box, milliseconds of each answer in the process and through the pages, as lines of
    Markdown. Raises ModelError for a model that cannot be asked by clicks."""
    opened = open_prompted(model, data)
    ways = {"clicks alone": (False, False), "clicks, best of three": (False, True), "box, then clicks": (True, False)}
    ious: dict[str, list[list[float]]] = {name: [] for name in ways}
    taken: list[tuple[float, float]] = []
    embeds: list[float] = []
    first: tuple[SceneFrame, BoolMask] | None = None
    for scene, truths in _scenes(scenes):
        begun = time.perf_counter()
        embedding = opened.embed(scene.image)
        embeds.append(1000 * (time.perf_counter() - begun))
        for truth in truths:
            first = first or (scene, truth)
            for name, (box, choosing) in ways.items():
                told, times = clicked_ious(opened, embedding, truth, box=box, choosing=choosing)
                ious[name].append(told)
                taken += times
    asked = len(ious["clicks alone"])
    lines = [
        f"{opened.name}: {asked} characters of {scenes} drawn scenes with unseen looks, mean IoU", "",
        f"| | box | {' | '.join(f'{n} clicks' if n > 1 else '1 click' for n in TOLD_CLICKS)} |",
        f"|---|---|{'---|' * len(TOLD_CLICKS)}",
    ]  # fmt: skip
    for name, (box, _) in ways.items():
        means = np.mean(np.array(ious[name]), axis=0)
        cells = [f"{means[n - 1 + box]:.3f}" for n in TOLD_CLICKS]
        lines.append(f"| {name} | {f'{means[0]:.3f}' if box else ''} | {' | '.join(cells)} |")
    wall, processor = np.array(taken).T
    lines += ["", f"embedding: p50 {np.median(embeds):.1f} ms", _told("an answer, in the process", wall)]
    lines.append(_told("an answer, processor time (what it takes on a machine that does nothing else)", processor))
    if first is not None:
        lines += _page_times(first[0].image, first[1], model, repeats, browser)
    return lines


def _told(what: str, milliseconds: npt.NDArray[np.floating]) -> str:
    p50, p95 = (float(np.percentile(milliseconds, share)) for share in (50, 95))
    within = 100 * float(np.mean(milliseconds <= _LIMIT_MS))
    return f"{what}: p50 {p50:.0f} ms, p95 {p95:.0f} ms; {within:.0f} % within {_LIMIT_MS:.0f} ms"


def _page_times(image: npt.NDArray[np.uint8], truth: BoolMask, model: str, repeats: int, browser: bool) -> list[str]:
    """Milliseconds of clicks through the pages' process, and in Chromium from the click to the drawn mask."""
    with tempfile.TemporaryDirectory(prefix="lora_assets-clicks-") as folder:
        data = Path(folder) / "data"
        frame = _one_frame(data, image, truth, model)
        clicker = Clicker(data)
        try:
            path = next((data / "input" / "clicked").iterdir())
            opened = clicker.open(_TRACKER, frame, path)
            times: list[float] = []
            last = 0
            for points, labels, goes_on in _clicks_of(repeats, truth):
                begun = time.perf_counter()
                prompt = {"points": points, "labels": labels, "after": [last, 0] if goes_on else None}
                last = int(clicker.ask(_TRACKER, frame, path, prompt)["answer"])
                times.append(1000 * (time.perf_counter() - begun))
        finally:
            clicker.close()
        lines = [f"the pages' process opened its model and the picture in {opened['ms'] / 1000:.1f} s"]
        lines.append(_told("a click through the pages' process", np.array(times)))
        if not browser or not _CHROMIUM.exists():
            return [*lines, "Chromium: left out"]
        whole, parts = _in_browser(data, frame, repeats)
        lines.append(_told("a click in Chromium, until the mask is drawn", np.array(whole)))
        told = (f"{name} {float(np.median([part[name] for part in parts])):.0f}" for name in parts[0])
        return [*lines, f"its parts, p50 ms: {', '.join(told)} (way: from the page to the model and back)"]


_TRACKER = "CLICKED"


def _clicks_of(repeats: int, truth: BoolMask) -> Iterator[tuple[list[list[float]], list[int], bool]]:
    """Sequences of two clicks: one inside, one on the rim that does not belong to it."""
    inner, _ = largest_error(np.zeros_like(truth), truth)
    outer, _ = largest_error(np.ones_like(truth), truth)
    for _ in range(repeats):
        yield [list(inner)], [1], False
        yield [list(inner), list(outer)], [1, 0], True


def _one_frame(data: Path, image: npt.NDArray[np.uint8], truth: BoolMask, model: str) -> str:
    """A data folder with one frame and its box as a tracker has them, without a run; the frame's hash."""
    from lora_assets.specs import TrackerSpec, write_tracker
    from lora_assets.store import Store, atomic_write_bytes
    from lora_assets.tables import Detection, RawFrame, to_table
    from lora_assets.vision.crops import encode_png

    content = encode_png(image)
    frame = hashlib.sha256(content).hexdigest()
    atomic_write_bytes(data / "input" / "clicked" / "frame.png", content)
    write_tracker(data, TrackerSpec(_TRACKER, ("clicked",), settings={"segment": {"weights": model}}))
    store, (height, width) = Store(data), image.shape[:2]
    x, y, wide, high = mask_bounds(truth) or (0, 0, width, height)
    row = RawFrame("frame.png", frame, len(content), 1, 1, width, height, "PNG", 0.5, 0.0, 90.0, "0" * 16, None)
    found = Detection(
        frame, "0" * 16, "person", 0.9, float(x), float(y), float(x + wide), float(y + high), "drawn", True
    )
    told = {"files": 1, "frames": 1}
    for table, row_type, rows in (("frames", RawFrame, [row]), ("detections", Detection, [found])):
        path = store.table_path(table, "clicked", _TRACKER)
        store.publish(path, row_type, [to_table(rows, row_type)], table, told)
    return frame


# A promise, not a condition that is tried in every frame: that would keep the browser painting all the while.
_NEXT_ANSWER = """() => { window.nextAnswer = new Promise((done) => {
    const root = document.querySelector('#segment');
    delete root.dataset.lastMs;
    new MutationObserver((_, own) => { if (root.dataset.lastMs) { own.disconnect(); done(); } })
        .observe(root, { attributeFilter: ['data-last-ms'] });
}); }"""


def _in_browser(data: Path, frame: str, repeats: int) -> tuple[list[float], list[dict[str, float]]]:
    """Milliseconds of clicks in Chromium, as the page itself takes them, and of their parts: the model, the way to it
    and back, drawing."""
    import json
    import threading

    import uvicorn
    from playwright.sync_api import sync_playwright

    from lora_assets.tracker.app import create_app
    from lora_assets.tracker.serve import open_socket

    app = create_app(data, password_hash=None)
    listening = open_socket("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    times: list[float] = []
    parts: list[dict[str, float]] = []
    try:
        with sync_playwright() as driver:
            chromium = driver.chromium.launch(executable_path=str(_CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
            page = chromium.new_page(viewport={"width": 1280, "height": 800})
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            page.goto(f"{address}/tracker/{_TRACKER}/segment/{frame}")
            page.wait_for_selector("#segment[data-opened=true]", timeout=120_000)
            box = page.locator(".subjects rect").bounding_box() or {"x": 0, "y": 0, "width": 9, "height": 9}
            for number in range(2 * repeats):
                if number % 2 == 0:
                    page.keyboard.press("Delete")
                page.evaluate(_NEXT_ANSWER)
                share = 0.5 if number % 2 == 0 else 0.06
                page.mouse.click(box["x"] + share * box["width"], box["y"] + share * box["height"],
                                 button="left")  # fmt: skip
                page.evaluate("window.nextAnswer")
                parts.append(json.loads(page.get_attribute("#segment", "data-last-parts") or "{}"))
                times.append(float(page.get_attribute("#segment", "data-last-ms") or 0))
            chromium.close()
    finally:
        app.state.clicker.close()
        server.should_exit = True
        thread.join(10)
        listening.close()
    return times, parts
