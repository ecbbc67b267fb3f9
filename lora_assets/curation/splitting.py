"""A validation part that shares no shot, no group of alike crops and no frame with the training part.

What belongs elsewhere: which crops are chosen (choosing).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

CODE_VERSION = "2"

TRAIN, VALIDATION = "train", "validation"


def split_parts(
    shots: Sequence[str], groups: Sequence[str], share: float, seed: int, frames: Sequence[str] | None = None
) -> list[str]:
    """The part of each chosen crop. Crops that share a shot, a group or a frame (its hash), directly or through others,
    stay together. Without `frames` the shots have to hold them: crops of one frame, of one shot.

    Pieces go to validation in an order drawn by `seed` while they fit into `share` of all; at least one piece stays for
    training. Equal input gives equal parts.
    """
    parent = list(range(len(shots)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[tuple[str, str], int] = {}
    columns = {"shot": shots, "group": groups, **({} if frames is None else {"frame": frames})}
    for place in range(len(shots)):
        for key in ((name, column[place]) for name, column in columns.items()):
            known = first.setdefault(key, place)
            one, other = sorted((root(known), root(place)))
            parent[other] = one
    pieces: dict[int, list[int]] = defaultdict(list)
    for place in range(len(shots)):
        pieces[root(place)].append(place)

    def drawn(piece: list[int]) -> str:
        names = sorted({shots[place] for place in piece})
        return hashlib.sha256(f"{seed}|{'|'.join(names)}".encode()).hexdigest()

    parts = [TRAIN] * len(shots)
    wanted = round(share * len(shots))
    taken = 0
    for piece in sorted(pieces.values(), key=drawn):
        if wanted and len(pieces) > 1 and taken + len(piece) <= max(wanted, 1) and taken + len(piece) < len(shots):
            taken += len(piece)
            for place in piece:
                parts[place] = VALIDATION
    return parts
