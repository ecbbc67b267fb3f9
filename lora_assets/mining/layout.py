"""Where objects lie on the map: t-SNE of their vectors, clusters of what lies together, and names for the clusters.

t-SNE: van der Maaten and Hinton, JMLR 2008, by scikit-learn, on the 50 first principal components. Clusters: HDBSCAN
(Campello, Moulavi and Sander, PAKDD 2013) on the map, so that they are what the eye sees. Names: classes and caption
words by class-based TF-IDF (Grootendorst, "BERTopic", 2022).
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

CODE_VERSION = "1"
TSNE, LINE, NONE = "t-SNE", "line", "none"
LEAST_FOR_TSNE = 4
_COMPONENTS = 50
_WORD = re.compile(r"[^\W\d_]{3,}", re.UNICODE)
# Words of captions that tell nothing apart.
_PLAIN = frozenset(
    (
        *("the", "and", "with", "that", "this", "there", "its", "are", "was", "for", "from", "into", "onto", "over"),
        *("under", "near", "next", "beside", "behind", "front", "picture", "image", "photo", "object", "middle"),
        *("shows", "showing", "appears", "seems", "which", "while", "has", "have", "being", "partially", "unusual"),
        *("very", "one", "two"),
    )
)

FloatArray = npt.NDArray[np.float32]
Places = npt.NDArray[np.float64]


def lay_out(vectors: FloatArray, perplexity: float, seed: int) -> tuple[Places, str]:
    """Places (n, 2) in 0..1 of vectors (n, width) of length 1, and how they came about.

    Fewer than four objects, or all equal, lie on a line in their order: t-SNE has nothing to say of them.
    """
    count = len(vectors)
    if count == 0:
        return np.zeros((0, 2)), NONE
    if count < LEAST_FOR_TSNE or float(np.ptp(vectors, axis=0).max()) < 1e-6:
        across = (np.arange(count) + 0.5) / count
        return np.column_stack([across, np.full(count, 0.5)]), LINE
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE as Tsne

    components = min(_COMPONENTS, count, vectors.shape[1])
    reduced = PCA(components, random_state=seed).fit_transform(vectors)
    neighbours = min(perplexity, (count - 1) / 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        places = Tsne(
            2, perplexity=max(1.0, neighbours), init="pca" if components >= 2 else "random", random_state=seed
        ).fit_transform(reduced.astype(np.float32))
    low, high = places.min(axis=0), places.max(axis=0)
    return ((places - low) / np.where(high > low, high - low, 1.0)).astype(np.float64), TSNE


def find_clusters(places: Places) -> npt.NDArray[np.int64]:
    """The number of each place's cluster, -1 for none, the largest cluster first. Fewer than ten places have none."""
    if len(places) < 10:
        return np.full(len(places), -1, np.int64)
    from sklearn.cluster import HDBSCAN

    found = HDBSCAN(min_cluster_size=max(5, round(math.sqrt(len(places)) / 2)), copy=True).fit_predict(places)  # pyright: ignore[reportArgumentType]
    sizes = Counter(int(number) for number in found if number >= 0)
    order = {
        number: rank for rank, (number, _) in enumerate(sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])))
    }
    return np.array([order.get(int(number), -1) for number in found], np.int64)


def name_clusters(clusters: Sequence[int], labels: Sequence[str], captions: Sequence[str | None]) -> dict[int, str]:
    """A name of each cluster, no two alike: its classes, and up to two caption words that it has more than the
    others. `captions` are None where an object has its class name only."""
    members: dict[int, list[int]] = {}
    for place, number in enumerate(clusters):
        if number >= 0:
            members.setdefault(int(number), []).append(place)
    words = {number: _words(captions[place] for place in places) for number, places in members.items()}
    total = sum(words.values(), Counter[str]())
    mean = sum(total.values()) / max(1, len(members))
    names: dict[int, str] = {}
    used: Counter[str] = Counter()
    for number, places in sorted(members.items()):
        label = _classes([labels[place] for place in places], Counter(labels))
        told = _telling(words[number], total, mean, label)
        name = f"{label}: {', '.join(told)}" if told else label
        used[name] += 1
        names[number] = name if used[name] == 1 else f"{name} {used[name]}"
    return names


def _classes(own: Sequence[str], all_labels: Counter[str]) -> str:
    """The one or two classes of a cluster that it has most beyond the others, of those that make up a fifth of it; the
    commonest where none does."""
    counts = Counter(own)
    everything = sum(all_labels.values())
    common = [name for name, count in counts.items() if count >= len(own) / 5] or [counts.most_common(1)[0][0]]
    weight = {name: counts[name] * math.log(1.0 + everything / all_labels[name]) for name in common}
    return ", ".join(sorted(common, key=lambda name: (-weight[name], name))[:2])


def _words(captions: Iterable[str | None]) -> Counter[str]:
    """How many captions hold each word."""
    found: Counter[str] = Counter()
    for caption in captions:
        found.update({word for word in _WORD.findall((caption or "").lower()) if word not in _PLAIN})
    return found


def _telling(own: Counter[str], total: Counter[str], mean: float, label: str) -> list[str]:
    """The two words that a cluster has most beyond the others; a word of one caption alone tells nothing."""
    plain = set(_WORD.findall(label.lower()))
    rated = {
        word: count * math.log(1.0 + mean / total[word])
        for word, count in own.items()
        if count >= 2 and word not in plain
    }
    return [word for word, _ in sorted(rated.items(), key=lambda pair: (-pair[1], pair[0]))[:2]]
