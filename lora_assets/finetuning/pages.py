"""Pages of an annotated set as training and judging read them, and the embeddings of those that need not be made twice.

An embedding is known by the base's hash, the precision and the page's hash, so that a disk cache outlives a training.
What belongs elsewhere: reading annotations (annotations), embedding (networks).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lora_assets.annotations import AnnotatedImage, AnnotatedSet, Annotation
from lora_assets.finetuning.settings import DISK, MEMORY
from lora_assets.store import StoreError, atomic_write, digest
from lora_assets.vision.images import RgbImage, decode_image, read_file

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CODE_VERSION = "2"
"""Of the embeddings on a disk: how a page becomes one. With a new one they are made anew."""
_GIGABYTE = 1024**3


def read_page(image: AnnotatedImage) -> RgbImage:
    """The page's pixels (H,W,3). Raises OSError or ImageError when it changed since the set was checked."""
    return decode_image(read_file(image.path)).pixels


def usable(annotations: list[Annotation]) -> list[Annotation]:
    """Those that a prompt can ask for: a crowd is no single thing."""
    return [one for one in annotations if not one.iscrowd]


def spread(found: AnnotatedSet, split: str, most: int, seed: int) -> list[tuple[AnnotatedImage, list[Annotation]]]:
    """At most `most` annotations of a split, page by page: categories by turns, drawn evenly from all pages."""
    rng = np.random.default_rng((seed, 977))
    by_category: dict[int, list[Annotation]] = {}
    for _, of_page in found.of_split(split):
        for one in usable(of_page):
            by_category.setdefault(one.category_id, []).append(one)
    queues = [[group[i] for i in rng.permutation(len(group))] for _, group in sorted(by_category.items())]
    taken: set[int] = set()
    while len(taken) < most and any(queues):
        for queue in queues:
            if queue and len(taken) < most:
                taken.add(queue.pop().id)
    pages = [(image, [one for one in some if one.id in taken]) for image, some in found.of_split(split)]
    return [(image, some) for image, some in pages if some]


class EmbeddingCache:
    """Embeddings of a frozen encoder by the page's hash, in memory or on disk, up to a bound.

    What is in stays in: pages are asked for in turn, round after round, and throwing out the oldest of such a round
    would throw out exactly the next one. On a disk the `folder` is the cache's own: files of another base, precision
    (`dtype`, None is float32) or code are deleted, as they would only take the room. `hits` and `made` count.
    """

    def __init__(
        self, kind: str, gigabytes: float, base_sha256: str, dtype: torch.dtype | None, folder: Path, device: str
    ) -> None:
        self._kind, self._limit = kind, gigabytes * _GIGABYTE
        self._of = digest("embedding", CODE_VERSION, base_sha256, str(dtype))
        self._folder, self._device = folder, device
        self._kept: dict[str, tuple[Tensor, ...]] = {}
        self._bytes = 0.0
        self.hits = self.made = 0
        if kind == DISK:
            for path in list(folder.glob("*.safetensors")):
                if path.name.startswith(f"{self._of}-"):
                    self._bytes += path.stat().st_size
                else:
                    path.unlink(missing_ok=True)

    def get(self, page_sha256: str, make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The embedding of a page on the device, made where it is not kept."""
        key = f"{self._of}-{page_sha256}"
        found = self._kept.get(key) if self._kind == MEMORY else self._read(key) if self._kind == DISK else None
        if found is not None:
            self.hits += 1
            return tuple(one.to(self._device) for one in found)
        self.made += 1
        features = make()
        size = sum(one.nbytes for one in features)
        if self._bytes + size <= self._limit:
            if self._kind == MEMORY:
                self._kept[key] = tuple(one.detach().cpu() for one in features)
                self._bytes += size
            elif self._kind == DISK:
                self._write(key, features, size)
        return features

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"

    def _read(self, key: str) -> tuple[Tensor, ...] | None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            told = load_file(self._path(key))
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError):
            self._path(key).unlink(missing_ok=True)
            return None
        return tuple(told[str(place)] for place in range(len(told)))

    def _write(self, key: str, features: tuple[Tensor, ...], size: int) -> None:
        from safetensors.torch import save

        content = save({str(place): one.detach().cpu().contiguous() for place, one in enumerate(features)})
        try:
            atomic_write(self._path(key), lambda handle: handle.write(content), durable=False)
            self._bytes += size
        except StoreError:
            # A full disk costs time here, no result: the checkpoint is what must not fail.
            self._limit = self._bytes
