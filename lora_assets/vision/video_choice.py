"""Which drawing of a stretch of a shot is kept: one that is whole before one that is woven of two fields, then the
sharpest.

What belongs elsewhere: where drawings and shots begin (video), what combing is and what is done about it
(video_fields).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from lora_assets.vision.video_fields import MOST_ROWS, NARROWED, Grey, deinterlaced, is_combed, one_field, top_first
from lora_assets.vision.video_settings import Deinterlace


def sharpness_of(grey: Grey) -> float:
    """The variance of the Laplacian, in grey levels squared."""
    return float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))[1].item()) ** 2


@dataclass(slots=True)
class Drawing:
    """The first frame of a drawing, still in the video's own pixel format, between the frames before and after it.
    `combed` and `field_sharpness` are None until somebody asks (Fields)."""

    frame: VideoFrame
    seconds: float
    index: int
    sharpness: float
    before: VideoFrame | None = None
    after: VideoFrame | None = None
    combed: bool | None = None
    field_sharpness: float | None = None


@dataclass(slots=True)
class Fields:
    """Which drawings are woven from two fields, and which of these is the earlier one in this video. A frame is looked
    at only where it could be kept: of a video that is not interlaced, a few in a second."""

    way: Deinterlace
    scalers: dict[tuple[int, int], VideoReformatter] = field(default_factory=dict)
    top_first: float = 0.0
    """Grey levels, summed over the combed frames: above 0 where the upper field comes first."""

    def combed(self, drawing: Drawing) -> bool:
        """True for a drawing of which one field is to be taken."""
        if drawing.combed is None:
            drawing.combed = self.way != "off" and drawing.frame.height <= MOST_ROWS and self._look(drawing)
        return drawing.combed

    def sharpness(self, drawing: Drawing) -> float:
        """The sharpness of one field of a combed drawing; comparable with that of other fields only."""
        if drawing.field_sharpness is None:
            drawing.field_sharpness = sharpness_of(one_field(self._grey(drawing.frame)))
        return drawing.field_sharpness

    def _look(self, drawing: Drawing) -> bool:
        grey = self._grey(drawing.frame)
        before, after = (None if each is None else self._grey(each) for each in (drawing.before, drawing.after))
        if self.way != "all" and not is_combed(grey, before, after):
            return False
        if before is not None:
            self.top_first += top_first(grey, before)
        return True

    def _grey(self, frame: VideoFrame) -> Grey:
        size = (max(1, frame.width // NARROWED), frame.height)
        scaler = self.scalers.setdefault(size, VideoReformatter())
        grey = scaler.reformat(frame, *size, "gray", interpolation=Interpolation.AREA, threads=1)
        return np.asarray(grey.to_ndarray(), np.uint8)

    def beats(self, drawing: Drawing, best: Drawing) -> bool:
        """True when the drawing is worth more than the best so far: whole before woven, then the sharper."""
        if not self.combed(best):
            return drawing.sharpness > best.sharpness and not self.combed(drawing)
        return not self.combed(drawing) or self.sharpness(drawing) > self.sharpness(best)

    def whole(self, drawing: Drawing) -> VideoFrame:
        """The frame of a drawing as it was at one moment."""
        if not self.combed(drawing):
            return drawing.frame
        return deinterlaced(drawing.frame, drawing.before, drawing.after, self.top_first >= 0)


@dataclass(slots=True)
class Chooser:
    """The sharpest drawing of each stretch of `stretch_s` seconds of a shot."""

    stretch_s: float
    fields: Fields
    shot: int = 0
    _began: float | None = None
    _stretch: int = 0
    _best: Drawing | None = None

    def cut(self) -> Drawing | None:
        """End the shot; the drawing that its last stretch gives."""
        best, self._best, self._began, self._stretch = self._best, None, None, 0
        self.shot += 1
        return best

    def take(self, drawing: Drawing) -> Drawing | None:
        """Take the next drawing of the shot; what a stretch that ended gives."""
        if self._began is None:
            self._began = drawing.seconds
        passed = drawing.seconds - self._began + 1e-6  # times that were summed up lie a little before whole stretches
        stretch = int(passed / self.stretch_s) if self.stretch_s else 0
        ended = None
        if stretch != self._stretch:
            ended, self._best, self._stretch = self._best, None, stretch
        if self._best is None or self.fields.beats(drawing, self._best):
            self._best = drawing
        return ended
