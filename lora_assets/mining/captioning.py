"""Captions of the kept objects by a vision-language model; the class name, and why, for all others.

An answer is kept by object, model, prompt and picture, not by the service's address: the same model on another machine
is asked nothing again. Failures are not kept, so that the next run tries them anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from lora_assets.mining.chat import CaptionClient, NoCaption
from lora_assets.mining.embedding import cut_object
from lora_assets.mining.objects import matched_keyword
from lora_assets.mining.settings import CaptionService, MiningSettings
from lora_assets.mining.sources import FrameSource
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.quality.pictures import PictureLost
from lora_assets.store import Shelf, Store, digest
from lora_assets.tables import to_table
from lora_assets.tables.mining import CaptionAnswer, MinedObject, ObjectCaption, RareObject
from lora_assets.vision.images import CODE_VERSION as READ_VERSION

CODE_VERSION = "1"
SERVICE, CLASS_NAME = "service", "class_name"
CLASS_RULE, CAPTION = "class_rule", "caption"
NOT_KEPT = "not among the kept objects"
# Some of the surroundings make a part of a thing readable.
CONTEXT = 0.15
_CHUNK = 16


@dataclass(slots=True)
class CaptionedObjects:
    """The rows in the order of the objects, and what the run did: answers that were kept already, requests sent, and
    how many objects have which reason instead of a caption."""

    rows: list[ObjectCaption] = field(default_factory=list)
    reused: int = 0
    asked: int = 0
    calls: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def caption_objects(
    store: Store,
    sources: Sequence[FrameSource],
    objects: Sequence[MinedObject],
    rated: Sequence[RareObject],
    service: CaptionService | str,
    settings: MiningSettings,
    listen: Listener = nobody,
) -> CaptionedObjects:
    """The captions of all objects. `service` may be words: then no picture leaves, and they are every row's reason."""
    done = CaptionedObjects()
    answers: dict[str, CaptionAnswer] = {}
    if isinstance(service, CaptionService):
        kept = {each.object_id for each in rated if each.kept}
        shelf = _shelf(store, service, settings)
        answers = _known(shelf, kept)
        done.reused = len(answers)
        due = _rarest_first(objects, rated, kept - set(answers))
        if due:
            answers.update(_ask_all(shelf, sources, due, service, settings, listen, done))
    else:
        done.said = (f"no captions: {service}; every object has its class name",)
    for each in rated:
        answer = answers.get(each.object_id)
        if answer is not None:
            reason = None
        elif not isinstance(service, CaptionService):
            reason = service
        else:
            reason = done.failed.get(each.object_id, NOT_KEPT)
        caption = answer.caption if answer is not None else each.label
        said_so = answer is not None and matched_keyword(caption, settings.rare_keywords) is not None
        target = CLASS_RULE if each.is_rare_class or each.keyword is not None else CAPTION if said_so else None
        done.rows.append(
            ObjectCaption(
                each.object_id, caption, SERVICE if answer is not None else CLASS_NAME, reason,
                answer.model if answer is not None else "", target is not None, target,
            )
        )  # fmt: skip
    if done.failed:
        common = Counter(done.failed.values()).most_common(3)
        words = "; ".join(f"{count}: {reason}" for reason, count in common)
        done.said = (*done.said, f"{len(done.failed)} of the kept objects have their class name instead ({words})")
    return done


def _shelf(store: Store, service: CaptionService, settings: MiningSettings) -> Shelf:
    told = [CODE_VERSION, READ_VERSION, service.model, settings.caption_prompt, settings.caption_side]
    recipe = digest("object_captions", *told, settings.caption_max_tokens, max(CONTEXT, settings.margin))
    return store.shelf("object_captions", recipe, CaptionAnswer, key="object_id")


def _known(shelf: Shelf, names: set[str]) -> dict[str, CaptionAnswer]:
    return {
        row["object_id"]: CaptionAnswer(**row) for _, table in shelf.read(sorted(names)) for row in table.to_pylist()
    }


def _rarest_first(objects: Sequence[MinedObject], rated: Sequence[RareObject], due: set[str]) -> list[MinedObject]:
    """The objects to ask about; where the budget ends early, the most telling ones have their caption."""
    rare = {each.object_id: each for each in rated}
    return sorted(
        (each for each in objects if each.object_id in due),
        key=lambda each: (
            rare[each.object_id].keyword is None, -len(rare[each.object_id].reasons),
            -rare[each.object_id].rarity_bits, each.object_id,
        ),
    )  # fmt: skip


def _ask_all(
    shelf: Shelf,
    sources: Sequence[FrameSource],
    due: Sequence[MinedObject],
    service: CaptionService,
    settings: MiningSettings,
    listen: Listener,
    done: CaptionedObjects,
) -> dict[str, CaptionAnswer]:
    by_dataset = {source.dataset: source for source in sources}
    found: dict[str, CaptionAnswer] = {}
    waiting: list[CaptionAnswer] = []
    margin = max(CONTEXT, settings.margin)

    def one(each: MinedObject, client: CaptionClient) -> CaptionAnswer | str:
        try:
            source = by_dataset.get(each.dataset)
            if source is None:
                raise PictureLost("its dataset is gone")
            box = (each.x1, each.y1, each.x2, each.y2)
            picture = cut_object(source.pixels(each.frame_sha256), box, margin, settings.caption_side)
            caption, model = client.ask(picture)
        except (NoCaption, PictureLost) as error:
            return str(error)
        return CaptionAnswer(each.object_id, caption, model)

    def flush() -> None:
        if waiting:
            shelf.append(to_table(waiting, CaptionAnswer), [row.object_id for row in waiting])
            waiting.clear()

    step = f"captions of {service.model}"
    listen(Progress(step, 0, len(due), "objects"))
    with CaptionClient(service, settings) as client:
        try:
            for number, (name, answer) in enumerate(_as_answered(due, one, client, settings), start=1):
                if isinstance(answer, str):
                    done.failed[name] = answer
                else:
                    found[name] = answer
                    waiting.append(answer)
                if len(waiting) >= _CHUNK:
                    flush()
                listen(Progress(step, number, len(due), "objects"))
        finally:
            # Also when interrupted: answers are dear.
            flush()
        done.asked, done.calls = len(due), client.calls
    return found


def _as_answered(
    due: Sequence[MinedObject],
    one: Callable[[MinedObject, CaptionClient], CaptionAnswer | str],
    client: CaptionClient,
    settings: MiningSettings,
) -> Iterator[tuple[str, CaptionAnswer | str]]:
    """Each object's id with its caption, or why there is none, as they come."""
    with ThreadPoolExecutor(settings.caption_workers, thread_name_prefix="caption") as pool:
        futures = {pool.submit(one, each, client): each.object_id for each in due}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()
