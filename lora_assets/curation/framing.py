"""How much of a figure a crop shows (framing), from which side (view), told from boxes and key points.

What belongs elsewhere: which framings a dataset should have (settings, choosing).
"""

from __future__ import annotations

import numpy as np

from lora_assets.identity.tracker_crops import TrackerCrop, Xyxy

CODE_VERSION = "2"

UNKNOWN = "unknown"
HEADS_SHOWN = {"face": 1.6, "bust": 3.0, "half": 4.7}
"""Heights in heads up to which a crop is a face, a bust or a half figure; above it is a full one. An adult figure has 6
to 7.5 heads, shoulders end at about 1.5, the chest at 3, the hips at 4 to 4.5 (Loomis 1943). Drawn short figures of
under 4.7 heads are told whole by their key points or by their lower edge inside the frame."""
_SURE = 0.5
_INSIDE = 3.0
_LEAST_WHOLE_HEADS = 2.2


def framing_of(crop: TrackerCrop, own_head: Xyxy | None) -> str:
    """face, bust, half or full; unknown without a head and without key points. `own_head` is the head that the crop's
    mask covers (Described.heads), in its pixels: another head of its window may be another figure's.

    Key points decide where they are sure: an ankle makes it full, a knee or hip half, a shoulder bust. Else the height
    below the head's top in heads; a short figure that ends inside the frame, and is not wider than high, is whole.
    """
    pointed = _by_points(crop)
    if pointed:
        return pointed
    if own_head is None:
        return UNKNOWN
    x1, y1, x2, y2 = own_head
    head = max(y2 - y1, 0.8 * (x2 - x1))
    height = crop.window[3] - crop.window[1]
    if head <= 0:
        return UNKNOWN
    heads = (height - y1) / head
    for name, most in HEADS_SHOWN.items():
        if heads <= most:
            return "full" if name == "half" and _is_whole(crop, heads) else name
    return "full"


def _is_whole(crop: TrackerCrop, heads: float) -> bool:
    """A short figure (of under 4.7 heads) that ends well inside the frame, with a body known to be all there."""
    inside = crop.window[3] < crop.frame_size[1] - _INSIDE
    return inside and heads >= _LEAST_WHOLE_HEADS and crop.body_completeness >= 0.95


def _points(crop: TrackerCrop) -> np.ndarray | None:
    return None if crop.key_points is None else np.array(crop.key_points, np.float64).reshape(-1, 3)


def _by_points(crop: TrackerCrop) -> str:
    points = _points(crop)
    if points is None or len(points) != 17:
        return ""
    sure = points[:, 2] >= _SURE
    for name, parts in (("full", (15, 16)), ("half", (11, 12, 13, 14)), ("bust", (5, 6))):
        if sure[list(parts)].any():
            return name
    return "face" if sure[:5].any() else ""


def view_of(crop: TrackerCrop) -> str:
    """front, side or back by the key points of the head; empty where there are none (not measured).

    The nose between both eyes is a front, with one eye or ear hidden a side, and ears or shoulders without a nose a
    back.
    """
    points = _points(crop)
    if points is None or len(points) != 17:
        return ""
    sure = points[:, 2] >= _SURE
    nose, eyes, ears, shoulders = sure[0], sure[1:3], sure[3:5], sure[5:7]
    if not nose:
        return "back" if ears.any() or shoulders.all() else ""
    if eyes.all():
        left, right = sorted(points[1:3, 0])
        wide = max(right - left, 1e-6)
        return "front" if -0.25 <= (points[0, 0] - left) / wide <= 1.25 else "side"
    return "side" if eyes.any() or ears.any() else ""
