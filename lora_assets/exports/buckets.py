"""The sizes that trainers bring pictures to (buckets), and the part of a picture that is left.

Every trainer here scales a picture until it covers its bucket and cuts what stands over, half on each side; they differ
in which buckets there are and which is taken. Sources: kohya-ss/sd-scripts library/model_util.py and train_util.py
(BucketManager), Nerogar/mgds AspectBucketing, ostris/ai-toolkit toolkit/buckets.py, tdrussell/diffusion-pipe
utils/dataset.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lora_assets.exports.settings import ExportSettings
from lora_assets.vision.cutout import Xyxy

Size = tuple[int, int]
BucketRule = Callable[[int, int], Size]
"""Width and height of a picture in, width and height of its bucket out, pixels."""

ONETRAINER_ASPECTS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0)
_DIFFUSION_PIPE_STEP = 32

# What diffusion-pipe is told: its own example ends at 1:2, and standing figures are narrower than that.
LEAST_ASPECT, MOST_ASPECT, ASPECTS = 0.25, 4.0, 17


def kohya_sizes(resolution: Size, least: int, largest: int, step: int) -> list[Size]:
    """The buckets of sd-scripts: sides in multiples of `step` from `least`, rounded down to one, to `largest`, rounded
    up; area at most the resolution's; for each width the tallest that fits, both ways round, and one square."""
    least, largest = max(step, least // step * step), -(-largest // step) * step
    area = resolution[0] * resolution[1]
    square = int(math.sqrt(area) // step) * step
    sizes = {(square, square)}
    for width in range(least, largest + 1, step):
        height = min(largest, area // width // step * step)
        if height >= least:
            sizes |= {(width, height), (height, width)}
    return sorted(size for size in sizes if min(size) > 0)


def kohya_rule(
    resolution: Size, *, enabled: bool, least: int, largest: int, step: int, no_upscale: bool = False
) -> BucketRule:
    """How sd-scripts chooses: the very size where there is one, else the nearest aspect ratio. Without upscaling a
    picture within the area keeps its own size, floored to the step."""
    if not enabled:
        return lambda width, height: (resolution[0], resolution[1]) if width and height else (0, 0)
    sizes = kohya_sizes(resolution, least, largest, step)
    aspects = np.array([width / height for width, height in sizes])

    def choose(width: int, height: int) -> Size:
        if no_upscale:
            scale = min(1.0, math.sqrt(resolution[0] * resolution[1] / (width * height)))
            return (max(step, int(width * scale) // step * step), max(step, int(height * scale) // step * step))
        if (width, height) in sizes:
            return width, height
        return sizes[int(np.abs(aspects - width / height).argmin())]

    return choose


def onetrainer_rule(resolution: int, step: int = 64) -> BucketRule:
    """OneTrainer's buckets: nine aspect ratios both ways round, of the resolution's area, rounded to the step."""
    sizes: list[Size] = []
    for aspect in ONETRAINER_ASPECTS:
        short, long = resolution / math.sqrt(aspect), resolution * math.sqrt(aspect)
        rounded = (round(short / step) * step, round(long / step) * step)
        sizes += [rounded, (rounded[1], rounded[0])]
    sizes = sorted(set(sizes))
    # It compares height / width, so that tall pictures are told apart more finely than wide ones.
    aspects = np.array([height / width for width, height in sizes])
    return lambda width, height: sizes[int(np.abs(aspects - height / width).argmin())]


def ai_toolkit_rule(resolution: int, divisor: int) -> BucketRule:
    """ai-toolkit's: the picture's own aspect ratio, area at most the resolution's, never larger than it is, both sides
    multiples of the model's divisor."""

    def choose(width: int, height: int) -> Size:
        scale = min(1.0, resolution / math.sqrt(width * height))
        return (
            max(divisor, int(width * scale) // divisor * divisor),
            max(divisor, int(height * scale) // divisor * divisor),
        )

    return choose


def diffusion_pipe_rule(resolution: float, least: float, most: float, count: int) -> BucketRule:
    """diffusion-pipe's: aspect ratios evenly spaced in their logarithm, the nearest by that, sides rounded to 32."""
    aspects = np.unique(np.round(np.geomspace(least, most, num=count), 3))

    def choose(width: int, height: int) -> Size:
        aspect = float(aspects[int(np.abs(np.log(aspects) - math.log(width / height)).argmin())])
        wide = math.sqrt(resolution * resolution * aspect)
        step = _DIFFUSION_PIPE_STEP
        return (max(1, round(wide / step)) * step, max(1, round(resolution * resolution / wide / step)) * step)

    return choose


def kept_part(width: int, height: int, bucket: Size) -> Xyxy:
    """The part of a picture that is trained, xyxy in its own pixels: scaled to cover the bucket, cut on both sides."""
    scale = max(bucket[0] / width, bucket[1] / height)
    wide, high = min(float(width), bucket[0] / scale), min(float(height), bucket[1] / scale)
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high


def trainers_rules(settings: ExportSettings) -> tuple[BucketRule, ...]:
    """The buckets of all trainers for the settings, as the written configurations ask for them.

    All of them whatever the formats are, so that a picture is the same in every export.
    """
    side = settings.resolution
    return (
        kohya_rule(
            (side, side),
            enabled=True,
            least=settings.shortest_bucket,
            largest=settings.longest_bucket,
            step=settings.bucket_step,
        ),
        onetrainer_rule(side),
        ai_toolkit_rule(side, settings.divisor),
        diffusion_pipe_rule(side, LEAST_ASPECT, MOST_ASPECT, ASPECTS),
    )
