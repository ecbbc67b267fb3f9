"""BRISQUE without a network: the features of Mittal, Moorthy and Bovik (IEEE TIP 2012) and their support vector scorer.

The features are those of the authors' release as OpenCV's quality module computes them; the scorer is read from that
module's files `brisque_model_live.yml` and `brisque_range_live.yml` (trained on LIVE, release 2). What a score means
for a crop belongs to metrics; which picture is shown to it, to pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError
from lora_assets.vision.images import RgbImage

CODE_VERSION = "1"

LEAST_SIDE = 16
MOST_FLAT = 0.95
_FEATURES = 36
_SCALES = 2
_WINDOW, _SIGMA = (7, 7), 7.0 / 6.0
_SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
_EXACTLY_FLAT = 1e-12
_SHAPES = np.arange(0.2, 10.0, 0.001)

FloatArray = npt.NDArray[np.float64]
Field = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SupportVectorScorer:
    """An epsilon-SVR with a radial kernel over features scaled to -1..1: vectors (n, 36), alpha (n,), low and high
    (36,) of the training features."""

    vectors: FloatArray
    alpha: FloatArray
    rho: float
    gamma: float
    low: FloatArray
    high: FloatArray

    def score(self, features: FloatArray) -> float:
        """The score of 36 features: 0 (best) to 100, cut there as OpenCV does."""
        scaled = -1.0 + 2.0 * (features - self.low) / (self.high - self.low)
        distance = ((self.vectors - scaled) ** 2).sum(axis=1)
        return float(np.clip(self.alpha @ np.exp(-self.gamma * distance) - self.rho, 0.0, 100.0))


def load_scorer(model: Path, ranges: Path) -> SupportVectorScorer:
    """The scorer of OpenCV's two files. Raises ModelError, naming the file, when one is no such file."""
    # A node of a file is only good as long as its storage lives.
    storage, tree = _read(model, "opencv_ml_svm")
    kernel, decision = tree.getNode("kernel"), tree.getNode("decision_functions").at(0)
    rows = tree.getNode("support_vectors")
    vectors = np.array([_numbers(rows.at(place)) for place in range(rows.size())], np.float64)
    alpha = np.array(_numbers(decision.getNode("alpha")), np.float64)
    kind = tree.getNode("svmType").string(), kernel.getNode("type").string()
    gamma, rho = kernel.getNode("gamma").real(), decision.getNode("rho").real()
    storage.release()
    if kind != ("EPS_SVR", "RBF") or not len(alpha) or vectors.shape != (len(alpha), _FEATURES):
        raise ModelError(
            f"{model} is no BRISQUE scorer (an EPS_SVR with an RBF kernel over {_FEATURES} features; found vectors of "
            f"shape {vectors.shape}): fetch it with lora-assets models pull brisque-model"
        )
    storage, node = _read(ranges, "range")
    limits = node.mat()
    storage.release()
    if limits is None or limits.shape != (2, _FEATURES):
        raise ModelError(
            f"{ranges} does not hold the range of {_FEATURES} features: lora-assets models pull brisque-range"
        )
    low, high = np.asarray(limits, np.float64)
    return SupportVectorScorer(vectors, alpha, rho, gamma, low, high)


def _read(path: Path, key: str) -> tuple[Any, Any]:
    """The storage of a file of OpenCV's YAML, and one entry of it."""
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        node = storage.getNode(key)
    except (cv2.error, SystemError) as error:
        raise ModelError(f"{path} cannot be read as OpenCV's YAML: fetch or copy the file again") from error
    if not storage.isOpened() or node.empty():
        raise ModelError(f"{path} holds no entry {key}: it is another file than its name says; fetch it again")
    return storage, node


def _numbers(node: Any) -> list[float]:
    return [node.at(place).real() for place in range(node.size())]


@cache
def _ratios() -> FloatArray:
    """Gamma(2/a)^2 / (Gamma(1/a) Gamma(3/a)) over the grid of shapes a: it grows with a."""
    from scipy.special import gammaln

    return np.exp(2 * gammaln(2 / _SHAPES) - gammaln(1 / _SHAPES) - gammaln(3 / _SHAPES))


def fit_asymmetric_gaussian(values: Field) -> tuple[float, float, float]:
    """Shape (0.2..10), left and right deviation of an asymmetric generalised Gaussian, by moment matching (Lasmar,
    Stitou and Berthoumieu 2009), the shape on a grid of 0.001. NaN when the values have only one sign."""
    left, right = np.minimum(values, 0.0), np.maximum(values, 0.0)
    below, above = cv2.countNonZero(left), cv2.countNonZero(right)
    if not below or not above:
        return float("nan"), float("nan"), float("nan")
    negative, positive = cv2.norm(left, cv2.NORM_L2SQR), cv2.norm(right, cv2.NORM_L2SQR)
    left_deviation, right_deviation = (negative / below) ** 0.5, (positive / above) ** 0.5
    skew = left_deviation / right_deviation
    ratio = (cv2.norm(values, cv2.NORM_L1) / values.size) ** 2 / ((negative + positive) / values.size)
    wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    ratios = _ratios()
    place = int(np.clip(np.searchsorted(ratios, wanted), 1, len(ratios) - 1))
    nearest = place if abs(ratios[place] - wanted) < abs(ratios[place - 1] - wanted) else place - 1
    return float(_SHAPES[nearest]), left_deviation, right_deviation


def normalised_luminance(grey: FloatArray) -> tuple[Field, float]:
    """Luminance (0..1) less its local mean, over its local deviation (7x7 Gaussian), and the share (0..1) of pixels
    around which nothing changes at all.

    Those pixels are exactly 0: arithmetic with rounding gives them a tiny sign, which the fit would count as texture.
    """
    mean = cv2.GaussianBlur(grey, _WINDOW, _SIGMA, borderType=cv2.BORDER_REPLICATE)
    square = cv2.GaussianBlur(grey * grey, _WINDOW, _SIGMA, borderType=cv2.BORDER_REPLICATE)
    variance = np.maximum(square - mean * mean, 0.0)
    flat = variance < _EXACTLY_FLAT
    centred = np.where(flat, 0.0, grey - mean)
    return np.asarray(centred / (np.sqrt(variance) + 1.0 / 255.0), np.float32), float(flat.mean())


def _paired(field: Field, down: int, right: int) -> Field:
    """Each value times its neighbour; 0 where the neighbour lies outside."""
    moved = np.zeros_like(field)
    height, width = field.shape
    top, bottom = max(0, -down), height - max(0, down)
    moved[top:bottom, : width - right] = field[top + down : bottom + down, right:]
    return field * moved


def brisque_features(grey: npt.NDArray[np.uint8]) -> tuple[FloatArray, float]:
    """The 36 features of a grey picture of at least 16 pixels a side, and its share of flat pixels (0..1).

    A feature is NaN where the picture has nothing to fit. Raises ValueError for a smaller picture.
    """
    if min(grey.shape) < LEAST_SIDE:
        raise ValueError(f"BRISQUE needs {LEAST_SIDE} pixels a side, not {grey.shape[1]} x {grey.shape[0]}")
    level = grey.astype(np.float32) / np.float32(255.0)
    found: list[float] = []
    flat = 0.0
    for scale in range(_SCALES):
        if scale:
            level = cv2.resize(level, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_CUBIC)
        field, flat_here = normalised_luminance(level.astype(np.float64))
        flat = flat if scale else flat_here
        shape, left, right = fit_asymmetric_gaussian(field)
        found += [shape, (left**2 + right**2) / 2]
        for down, across in _SHIFTS:
            shape, left, right = fit_asymmetric_gaussian(_paired(field, down, across))
            found += [shape, _mean_of_fit(shape, left, right), left**2, right**2]
    return np.array(found, np.float64), flat


def _mean_of_fit(shape: float, left: float, right: float) -> float:
    from scipy.special import gammaln

    spread = np.exp(0.5 * (gammaln(1 / shape) - gammaln(3 / shape)))
    return float((right - left) * np.exp(gammaln(2 / shape) - gammaln(1 / shape)) * spread)


def brisque_score(picture: RgbImage, scorer: SupportVectorScorer) -> tuple[float | None, str]:
    """BRISQUE of a picture HxWx3, 0 (best) to 100, or None and the reason.

    A flat picture has no statistics to judge: the scorer calls an all-black one perfect (0.0), so it gets no score.
    """
    if min(picture.shape[:2]) < LEAST_SIDE:
        return None, f"smaller than {LEAST_SIDE} pixels"
    features, flat = brisque_features(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8))
    if flat > MOST_FLAT or not np.isfinite(features).all():
        return None, f"unreliable on a flat picture ({flat:.0%} of it without any change; a black one would be perfect)"
    return scorer.score(features), ""
