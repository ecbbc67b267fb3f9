"""What a tuning learns and by how much: which weights learn, one step over some pages, validation on fixed prompts.

The order of pages and prompts is a function of seed and step, so that a resumed training goes on to the same numbers.
What belongs elsewhere: when to validate, save and stop (loop), the losses (losses), answering prompts (networks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lora_assets.annotations import AnnotatedImage, AnnotatedSet, Annotation
from lora_assets.finetuning.checkpoints import FinetuningError
from lora_assets.finetuning.networks import FEATURE_PARTS, Answers, Features, Network, Sam2Network
from lora_assets.finetuning.pages import EmbeddingCache, read_page, usable
from lora_assets.finetuning.planes import counted, coverage, page_part
from lora_assets.finetuning.prompts import BOTH, BOX, POINT, Prompts, corrections, first_prompts
from lora_assets.finetuning.settings import FROZEN, LORA, TrainingSettings
from lora_assets.vision.masks import BoolMask, mask_iou

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

SHARE_OF_THREE = 0.75
"""How often three candidates are asked for; else the single answer learns. The first answer to a lone click always is
of three, as a click may mean a part or the whole."""

AnnotatedPage = tuple[AnnotatedImage, list[Annotation]]


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Means over a step's answers."""

    loss: float
    focal: float
    balanced: float
    dice: float
    iou_error: float
    iou: float


@dataclass(frozen=True, slots=True)
class Validation:
    """IoU of the split val: the mean over categories, and each category's."""

    iou: float
    by_category: dict[str, float]


def choose_weights(network: Network, settings: TrainingSettings) -> None:
    """Let the weights learn that the settings name: the decoder and the prompts' encoder always, the image encoder by
    adapters or in full. Embeddings that are kept must not change: what makes them stays with a frozen encoder.

    Raises FinetuningError when there is nothing to put adapters beside.
    """
    import torch

    from lora_assets.finetuning.adapters import add_adapters

    network.module.requires_grad_(True)
    if settings.encoder != "full":
        network.encoder.requires_grad_(False)
    if settings.encoder == FROZEN:
        for name, value in network.module.named_parameters():
            if name.startswith(FEATURE_PARTS):
                value.requires_grad_(False)
    if settings.encoder == LORA:
        torch.manual_seed(settings.seed)
        add_adapters(network.encoder, settings.lora_rank, settings.lora_alpha)
        network.module.to(next(network.module.parameters()).device)
    # Norms keep their statistics: a few prompts of one page are no sample to take new ones from.
    network.module.eval()
    if isinstance(network, Sam2Network):
        # In evaluation mode another token answers for the single mask where that one is not stable, and would learn
        # in its stead (transformers, `Sam2MaskDecoder.forward`).
        network.module.mask_decoder.dynamic_multimask_via_stability = False


def optimizer_groups(network: Network, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Groups of AdamW: matrices decay, biases and norms do not; the encoder's rate is a share of the others'."""
    of_encoder = {id(value) for value in network.encoder.parameters()}
    trained = [value for value in network.module.parameters() if value.requires_grad]
    groups = [
        {
            "params": [v for v in trained if (id(v) in of_encoder) == inside and (v.ndim > 1) == matrices],
            "weight_decay": settings.weight_decay if matrices else 0.0,
            "share": settings.encoder_rate if inside else 1.0,
        }
        for inside in (False, True)
        for matrices in (True, False)
    ]
    return [group for group in groups if group["params"]]


def embedder(
    network: Network, settings: TrainingSettings, cache: EmbeddingCache
) -> Callable[[AnnotatedImage], Features]:
    """How a page is embedded: from the cache without gradients for a frozen encoder, else anew each time."""
    import torch

    def frozen(image: AnnotatedImage) -> Features:
        with torch.no_grad():
            return cache.get(image.sha256, lambda: network.embed(read_page(image)))

    return frozen if settings.encoder == FROZEN else lambda image: network.embed(read_page(image))


class Sampler:
    """Which pages and annotations a step sees: pages in a new order every round, categories evenly on a page."""

    def __init__(self, found: AnnotatedSet, split: str, settings: TrainingSettings) -> None:
        self._pages = [(image, usable(some)) for image, some in found.of_split(split) if usable(some)]
        self._settings = settings

    def page(self, number: int) -> AnnotatedPage:
        """The page and the annotations with this number, from 0 on."""
        round_, place = divmod(number, len(self._pages))
        order = np.random.default_rng((self._settings.seed, 1, round_)).permutation(len(self._pages))
        image, annotations = self._pages[order[place]]
        rng = np.random.default_rng((self._settings.seed, 2, number))
        count = min(self._settings.prompts, len(annotations))
        kinds = {one.category_id for one in annotations}
        share = {kind: 1 / sum(one.category_id == kind for one in annotations) / len(kinds) for kind in kinds}
        weights = np.array([share[one.category_id] for one in annotations])
        chosen = rng.choice(len(annotations), count, replace=False, p=weights / weights.sum())
        return image, [annotations[index] for index in sorted(chosen)]


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """What a step works with."""

    network: Network
    settings: TrainingSettings
    found: AnnotatedSet
    embed: Callable[[AnnotatedImage], Features]
    device: str
    dtype: torch.dtype | None

    def autocast(self) -> Any:
        """Mixed precision, where it is on."""
        import torch

        return torch.autocast(self.device, self.dtype or torch.float32, enabled=self.dtype is not None)

    def masks(self, page: AnnotatedPage) -> list[BoolMask]:
        """The true masks of a page's annotations."""
        return [self.found.mask(one) for one in page[1]]


def train_step(
    learner: Learner, sampler: Sampler, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, step: int
) -> StepFigures:
    """One step over `pages` pages, whose gradients are gathered one after the other.

    Raises FinetuningError, with the weights as they were before the step, when the loss or a gradient is no number;
    with float16 the scaler leaves such a step out and lowers its scale.
    """
    import torch

    settings = learner.settings
    optimizer.zero_grad(set_to_none=True)
    told: list[tuple[float, ...]] = []
    for place in range(settings.pages):
        number = step * settings.pages + place
        page = sampler.page(number)
        told += _learn_page(learner, page, np.random.default_rng((settings.seed, 3, number)), scaler)
    scaler.unscale_(optimizer)
    trained = [value for group in optimizer.param_groups for value in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(trained, settings.clip_norm)
    figures = StepFigures(*np.mean(told, axis=0).tolist())
    if not np.isfinite(figures.loss) or not (scaler.is_enabled() or bool(torch.isfinite(norm))):
        raise FinetuningError(
            f"the loss of step {step + 1}, or its gradient, is no number: lower learning_rate, or set precision to "
            "float32. What was saved before it is whole"
        )
    scaler.step(optimizer)
    scaler.update()
    return figures


def _learn_page(
    learner: Learner, page: AnnotatedPage, rng: np.random.Generator, scaler: torch.amp.GradScaler
) -> list[tuple[float, ...]]:
    """Gather the gradients of a page: the first prompts, then clicks on what was wrong; figures of each round."""
    import torch

    from lora_assets.finetuning.losses import answer_losses

    settings, network, image = learner.settings, learner.network, page[0]
    size, masks = (image.width, image.height), learner.masks(page)
    kind = _kind(rng, settings)
    prompts = first_prompts(rng, masks, size, kind, settings.box_jitter)
    earlier, told = None, []
    rounds = settings.corrections + 1
    with learner.autocast():
        embedded = learner.embed(image)
    # The rounds gather what they ask of the embedding, so that each frees its graph and the encoder learns once.
    features = tuple(one.detach().requires_grad_(settings.encoder != FROZEN) for one in embedded)
    for number in range(rounds):
        three = (number == 0 and kind == POINT) or rng.random() < SHARE_OF_THREE
        with learner.autocast():
            answers = network.answer(features, prompts, size, three=three, earlier=earlier, in_use=False)
        wanted, inside = targets(answers, masks, size, learner.device)
        losses = answer_losses(
            answers.logits, answers.estimates, wanted, inside,
            focal_weight=settings.focal_weight, balanced_weight=settings.balanced_weight,
            dice_weight=settings.dice_weight, iou_weight=settings.iou_weight,
        )  # fmt: skip
        scaler.scale(losses.total / (rounds * settings.pages)).backward()
        parts = (losses.focal, losses.balanced, losses.dice, losses.iou_error, losses.iou)
        told.append((float(losses.total.detach()), *parts))
        if number + 1 < rounds:
            chosen = answers.best()
            found = (answers.logits.detach()[range(len(masks)), chosen.tolist()] > 0).cpu().numpy()
            points, labels = corrections(
                rng, found, counted(wanted.cpu().numpy()), inside.cpu().numpy() > 0, answers.windows, masks
            )
            prompts, earlier = prompts.with_point(points, labels), network.as_prompt(answers, chosen, size)
    if settings.encoder != FROZEN:
        asked = [(one, leaf.grad) for one, leaf in zip(embedded, features, strict=True) if leaf.grad is not None]
        torch.autograd.backward([one for one, _ in asked], [grad for _, grad in asked])
    return told


def _kind(rng: np.random.Generator, settings: TrainingSettings) -> str:
    drawn = rng.random()
    if drawn < settings.share_of_points:
        return POINT
    return BOTH if drawn < settings.share_of_points + settings.share_of_both else BOX


def targets(answers: Answers, masks: Sequence[BoolMask], size: tuple[int, int], device: str) -> tuple[Tensor, Tensor]:
    """Coverage of the true masks on the answers' planes (N,h,w), and where the page is (N,h,w): cells with their middle
    on it, and those that a thing at its edge reaches into."""
    import torch

    shape = (int(answers.logits.shape[-2]), int(answers.logits.shape[-1]))
    wanted = np.stack([coverage(mask, window, shape) for mask, window in zip(masks, answers.windows, strict=True)])
    inside = np.stack([page_part(window, shape, size) for window in answers.windows]) | (wanted > 0)
    return torch.from_numpy(wanted).to(device), torch.from_numpy(inside.astype(np.float32)).to(device)


def fixed_prompts(
    page: AnnotatedPage, masks: Sequence[BoolMask], kind: str, settings: TrainingSettings, seed: int
) -> Prompts:
    """The prompts that a page is judged by: the same for every network, whatever else is judged."""
    image, annotations = page
    each = [
        first_prompts(
            np.random.default_rng((seed, 5, one.id)), [mask], (image.width, image.height), kind, settings.box_jitter
        )
        for one, mask in zip(annotations, masks, strict=True)
    ]
    boxes = None if kind == POINT else np.concatenate([one.boxes for one in each if one.boxes is not None])
    return Prompts(boxes, np.concatenate([one.points for one in each]), np.concatenate([one.labels for one in each]))


def answered(
    learner: Learner, features: Features, prompts: Prompts, size: tuple[int, int]
) -> tuple[list[BoolMask], list[float]]:
    """The mask that the network rates best for each prompt, and its predicted IoU, as in use; a few at a time. The
    starter's decoder answers alone here, which is quicker; judging asks it as a tracker does."""
    import torch

    masks: list[BoolMask] = []
    rated: list[float] = []
    for start in range(0, len(prompts), learner.settings.prompts):
        part = slice(start, start + learner.settings.prompts)
        some = Prompts(
            None if prompts.boxes is None else prompts.boxes[part], prompts.points[part], prompts.labels[part]
        )
        with torch.no_grad(), learner.autocast():
            answers = learner.network.answer(features, some, size, three=True, earlier=None, in_use=True)
        chosen = answers.best()
        masks += answers.masks(chosen, size)
        rated += answers.rated(chosen).tolist()
    return masks, rated


def validate(learner: Learner, pages: Sequence[AnnotatedPage]) -> Validation:
    """The IoU of box prompts on the pages of val."""
    import torch

    by_category: dict[str, list[float]] = {}
    for page in pages:
        image, annotations = page
        with torch.no_grad(), learner.autocast():
            features = learner.embed(image)
        true = learner.masks(page)
        prompts = fixed_prompts(page, true, BOX, learner.settings, learner.settings.seed)
        found, _ = answered(learner, features, prompts, (image.width, image.height))
        for one, mask, wanted in zip(annotations, found, true, strict=True):
            by_category.setdefault(learner.found.category_name(one.category_id), []).append(mask_iou(mask, wanted))
    means = {name: float(np.mean(values)) for name, values in sorted(by_category.items())}
    return Validation(float(np.mean(list(means.values()))), means)


def count_trained(module: nn.Module) -> int:
    """How many numbers learn."""
    return sum(value.numel() for value in module.parameters() if value.requires_grad)
