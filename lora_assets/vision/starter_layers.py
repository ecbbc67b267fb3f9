"""What the starter SAM learns: a residual U-Net that looks at the asked box alone, always at the same size.

Segment Anything encodes a frame once and reads every mask from that; to learn this from scratch takes more pictures
than a processor sees in a day. Looked at through its own box, enlarged to the same size, every character is as large as
every other and stands in the middle: that is learned in an hour (the idea of Mask R-CNN's region crops, He et al.,
2017; the network is a U-Net, Ronneberger et al., 2015, with the residual blocks of He et al., 2016). Several masks of a
frame cost as many looks. Torch is imported at the top, so import this module inside a function only; the numbers of the
architecture are in `lora_assets.vision.starter_sam`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock
from torchvision.ops import Conv2dNormActivation

from lora_assets.vision.starter_prompts import FIRST_CORNER, LAST_CORNER, UNWANTED, WANTED
from lora_assets.vision.starter_sam import LOOK_MARGIN, LOOK_SIDE, SMALLEST_LOOK

LOOK_STEP = 2
"""Pixels of a look per pixel of its logits."""
MASK_STEP = 4
"""Input pixels per pixel of a low-resolution mask."""
SOFT_EDGE = 4.0
"""Pixels of a look over which the drawn box fades."""
DAB_RADIUS = 5.0
CHANNELS = 7
"""Red, green, blue, box, points, given mask, and where the frame is."""
MASKS = 4
BACKGROUND_LOGIT = -12.0


@dataclass(frozen=True, slots=True)
class Look:
    """A square of the input: left, top and side in input pixels, all multiples of `MASK_STEP`; it may reach outside."""

    left: int
    top: int
    side: int


def look_around(x1: float, y1: float, x2: float, y2: float) -> Look:
    """The look at a box."""
    side = max(SMALLEST_LOOK, max(x2 - x1, y2 - y1) * (1 + 2 * LOOK_MARGIN))
    cells = -(-int(side) // MASK_STEP)
    left = round(((x1 + x2) / 2 - cells * MASK_STEP / 2) / MASK_STEP)
    top = round(((y1 + y2) / 2 - cells * MASK_STEP / 2) / MASK_STEP)
    return Look(left * MASK_STEP, top * MASK_STEP, cells * MASK_STEP)


def drawn_box(box: torch.Tensor, side: int = LOOK_SIDE) -> torch.Tensor:
    """A box (4 numbers, pixels of the look) as a picture: 1 inside, -1 outside, over `SOFT_EDGE` from one to other."""
    places = torch.arange(side, device=box.device, dtype=box.dtype) + 0.5
    x1, y1, x2, y2 = box.unbind()
    across, down = torch.minimum(places - x1, x2 - places), torch.minimum(places - y1, y2 - places)
    return (torch.minimum(across[None, :], down[:, None]) / SOFT_EDGE).clamp(-1, 1)


def drawn_points(points: torch.Tensor, side: int = LOOK_SIDE) -> torch.Tensor:
    """Points Nx3 (x, y in pixels of the look, `WANTED` or `UNWANTED`) as soft dabs of +1 and -1."""
    places = torch.arange(side, device=points.device, dtype=points.dtype) + 0.5
    across = (places[None, :] - points[:, :1]).square()
    down = (places[None, :] - points[:, 1:2]).square()
    dabs = torch.exp(-(across[:, None, :] + down[:, :, None]) / (2 * DAB_RADIUS**2))
    signs = (points[:, 2] == WANTED).to(points.dtype) - (points[:, 2] == UNWANTED).to(points.dtype)
    return (dabs * signs[:, None, None]).sum(dim=0).clamp(-1, 1)


class ResidualUNet(nn.Module):
    """The trunk of a network that sees a look: halved once for each of `widths`, with `blocks` residual blocks at each
    size, and put together again up to half of the look's side, by `smoothings` convolutions at each size."""

    def __init__(self, channels: int, widths: tuple[int, ...], blocks: tuple[int, ...], smoothings: int) -> None:
        super().__init__()
        downs: list[nn.Module] = []
        before = channels
        for width, count in zip(widths, blocks, strict=True):
            halving = Conv2dNormActivation(before, width, kernel_size=3, stride=2)
            downs.append(nn.Sequential(halving, *(BasicBlock(width, width) for _ in range(count))))
            before = width
        self.downs = nn.ModuleList(downs)
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(wide, width, kernel_size=1) for wide, width in pairs)
        self.aside = nn.ModuleList(nn.Conv2d(width, width, kernel_size=1) for _, width in pairs)
        self.ups = nn.ModuleList(_smoothing(width, smoothings) for _, width in pairs)

    def seen(self, looks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is seen of looks BxCxSxS at the coarsest size, and at half of their side (BxWx(S/2)x(S/2))."""
        maps = []
        for down in self.downs:
            looks = down(looks)
            maps.append(looks)
        picture = maps[-1]
        for narrow, aside, up, beside in zip(self.narrow, self.aside, self.ups, maps[-2::-1], strict=True):
            picture = functional.interpolate(narrow(picture), scale_factor=2.0, mode="nearest")
            picture = up(picture + aside(beside))
        return maps[-1], picture


def _smoothing(width: int, count: int) -> nn.Module:
    # One alone lies in no Sequential of its own: trained weights know it by its name.
    each = [Conv2dNormActivation(width, width, 3) for _ in range(count)]
    return each[0] if count == 1 else nn.Sequential(*each)


class LookNetwork(ResidualUNet):
    """From looks Bx`CHANNELS`xSxS: logits Bx4x(S/2)x(S/2) (the single mask, then three), and predicted IoUs Bx4."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__(CHANNELS, widths, blocks, smoothings=2)
        self.masks = nn.Conv2d(widths[0], MASKS, kernel_size=1)
        self.quality = nn.Sequential(
            nn.Linear(widths[-1] + widths[0], widths[0] * 4), nn.ReLU(), nn.Linear(widths[0] * 4, MASKS)
        )

    def forward(self, looks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and predicted IoUs of a batch of looks."""
        coarse, picture = self.seen(looks)
        means = torch.cat([coarse.mean(dim=(2, 3)), picture.mean(dim=(2, 3))], dim=1)
        return self.masks(picture), self.quality(means)


class LookDecoder(nn.Module):
    """A `MaskDecoder` of `segment_anything` that takes a look at every prompt; see `starter_prompts` for its inputs.

    A prompt without a box is looked at twice: the whole frame at first, then what was found there.
    """

    def __init__(self, network: LookNetwork, cell: int) -> None:
        super().__init__()
        self.network = network
        self.cell = cell

    def forward(
        self,
        image_embeddings: torch.Tensor,
        image_pe: torch.Tensor,
        sparse_prompt_embeddings: torch.Tensor,
        dense_prompt_embeddings: torch.Tensor,
        multimask_output: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits Bx1xMxM (or Bx3xMxM) over the whole square, and predicted IoUs, of B prompts of one image."""
        del image_pe
        side = image_embeddings.shape[-1] * self.cell // MASK_STEP
        logits, quality, looks = self.answer_looks(image_embeddings, sparse_prompt_embeddings, dense_prompt_embeddings)
        masks = torch.stack([laid(picture, look, side) for picture, look in zip(logits, looks, strict=True)])
        wanted = slice(1, None) if multimask_output else slice(0, 1)
        return masks[:, wanted], quality[:, wanted]

    def answer_looks(
        self, image_embeddings: torch.Tensor, tokens: torch.Tensor, given: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[Look]]:
        """All four masks of B prompts where they are looked at: logits Bx4x(S/2)x(S/2), predicted IoUs Bx4, the looks.

        Training reads them here: laid into the whole square, small things would be a few cells wide.
        """
        image = _filled(functional.pixel_shuffle(image_embeddings, self.cell)[0])
        boxes = [_box_of(of_prompt, image) for of_prompt in tokens]
        prompts = list(zip(tokens, given, strict=True))
        whole = [index for index, (of_prompt, _) in enumerate(prompts) if not _has_box(of_prompt)]
        if whole:
            logits, _, looks = self._look(image, [prompts[index] for index in whole], [boxes[index] for index in whole])
            for index, picture, look in zip(whole, logits, looks, strict=True):
                boxes[index] = _bounds(picture[0] > 0, look, boxes[index])
        return self._look(image, prompts, boxes)

    def _look(
        self, image: torch.Tensor, prompts: list[tuple[torch.Tensor, torch.Tensor]], boxes: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, list[Look]]:
        looks = [look_around(*(float(value) for value in box)) for box in boxes]
        pictures = [
            look_picture(image, look, box, tokens, mask)
            for (tokens, mask), box, look in zip(prompts, boxes, looks, strict=True)
        ]
        logits, quality = self.network(torch.stack(pictures).contiguous(memory_format=torch.channels_last))
        return logits, quality, looks


def look_picture(
    image: torch.Tensor, look: Look, box: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """What the network sees of a normalised image 3xHxW: `CHANNELS`x`LOOK_SIDE`x`LOOK_SIDE`.

    `tokens` Nx3 are the prompt's points and corners in input pixels, `mask` 1xMxM the given mask (zeros: none).
    """
    scale = LOOK_SIDE / look.side
    corner = box.new_tensor([look.left, look.top])
    pixels = _cut(torch.cat([image, torch.ones_like(image[:1])]), look.left, look.top, look.side)
    given = _cut(mask, look.left // MASK_STEP, look.top // MASK_STEP, look.side // MASK_STEP)
    points = tokens[(tokens[:, 2] == WANTED) | (tokens[:, 2] == UNWANTED)].clone()
    points[:, :2] = (points[:, :2] - corner) * scale
    asked = drawn_box((box - corner.repeat(2)) * scale)
    return torch.cat([pixels[:3], asked[None], drawn_points(points)[None], given, pixels[3:]])


def _filled(image: torch.Tensor) -> torch.Tensor:
    """The frame in the square, without the zeros that pad it right and below (no normalised byte is zero)."""
    seen = (image != 0).any(dim=0)
    return image[:, : int(seen.any(dim=1).sum()), : int(seen.any(dim=0).sum())]


def _cut(picture: torch.Tensor, left: int, top: int, side: int) -> torch.Tensor:
    """The square of a picture CxHxW, resized to a look, zeros outside."""
    part = picture[:, max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    around = (max(0, -left), side - part.shape[2] - max(0, -left), max(0, -top), side - part.shape[1] - max(0, -top))
    square = functional.pad(part, around)[None]
    return functional.interpolate(square, (LOOK_SIDE, LOOK_SIDE), mode="bilinear", antialias=True)[0]


def laid(logits: torch.Tensor, look: Look, side: int) -> torch.Tensor:
    """Logits CxLxL of a look laid into the low-resolution square Cx`side`x`side`; background elsewhere."""
    cells = look.side // MASK_STEP
    logits = logits.float()  # torch does not smooth in bfloat16 on a CPU
    small = functional.interpolate(logits[None], (cells, cells), mode="bilinear", antialias=True)[0]
    left, top = look.left // MASK_STEP, look.top // MASK_STEP
    square = logits.new_full((len(logits), side, side), BACKGROUND_LOGIT)
    rows = slice(max(0, top), max(0, min(side, top + cells)))
    columns = slice(max(0, left), max(0, min(side, left + cells)))
    square[:, rows, columns] = small[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return square


def _has_box(tokens: torch.Tensor) -> bool:
    return bool((tokens[:, 2] == FIRST_CORNER).any())


def _box_of(tokens: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """The box of a prompt in input pixels; the whole frame when it has none."""
    if not _has_box(tokens):
        return image.new_tensor([0.0, 0.0, image.shape[2], image.shape[1]])
    first, last = tokens[tokens[:, 2] == FIRST_CORNER][0, :2], tokens[tokens[:, 2] == LAST_CORNER][0, :2]
    return torch.cat([torch.minimum(first, last), torch.maximum(first, last)])


def _bounds(mask: torch.Tensor, look: Look, otherwise: torch.Tensor) -> torch.Tensor:
    """The bounds in input pixels of a mask of a look; `otherwise` when it is empty."""
    rows, columns = torch.nonzero(mask.any(dim=1)), torch.nonzero(mask.any(dim=0))
    if not len(rows):
        return otherwise
    scale = look.side / mask.shape[-1]
    x1, x2 = float(columns[0]) * scale, (float(columns[-1]) + 1) * scale
    y1, y2 = float(rows[0]) * scale, (float(rows[-1]) + 1) * scale
    return otherwise.new_tensor([look.left + x1, look.top + y1, look.left + x2, look.top + y2])
