"""Ridge regression of a layer's weights on its depth (paper 3.3), for all weights at once.

Every weight is regressed on the same few features of the layer's index. So the prediction of a layer is one linear
combination of other layers, the same for every weight: ŵ_t = Σ_k c_tk w_k. The coefficients depend only on the depths,
and whole matrices are predicted without a regression for each entry.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from anatomy_bench.values.statistics import Floats

Reading = Literal["elementwise", "sorted", "in_sample"]
"""What the paper's regression may have been.

- `elementwise`: the text taken literally, with each weight predicted from the same weight of earlier layers.
- `sorted`: the same after each layer's weights are sorted, which predicts a layer's distribution, not its weights.
- `in_sample`: each weight predicted from the same weight of earlier layers and of the predicted layer itself.
"""

READINGS: tuple[Reading, ...] = get_args(Reading)
DEFAULT_READING = READINGS[0]

FIRST_TARGET = 2
"""The first layer that is predicted, from the two before it (paper 3.3)."""


def depth_features(layer_count: int) -> Floats:
    """The paper's features of every layer: l, l², sin(lπ/N) and cos(lπ/N); shape (layers, 4)."""
    depth = np.arange(layer_count, dtype=np.float64)
    angle = depth * np.pi / layer_count
    return np.stack([depth, depth**2, np.sin(angle), np.cos(angle)], axis=1)


def coefficients(features: Floats, target: Floats, alpha: float) -> Floats:
    """The weights with which a fitted ridge regression sums its training values into a prediction.

    The intercept is not penalised and the features are not standardised, as in scikit-learn's `Ridge`.

    Args:
        features: of the training samples, shape (samples, features).
        target: features at which to predict, shape (features,).
        alpha: penalty on the squared coefficients.

    Returns:
        Weights of the training values, shape (samples,); they sum to 1.
    """
    mean = features.mean(axis=0)
    centred = features - mean
    penalised = centred.T @ centred + alpha * np.eye(features.shape[1])
    weights: Floats = 1 / len(features) + centred @ np.linalg.solve(penalised, target - mean)
    return weights


def known_layers(layer: int, reading: Reading) -> int:
    """How many layers, from the first on, are used to predict a layer.

    Raises:
        ValueError: there are not two layers before it.
    """
    if layer < FIRST_TARGET:
        raise ValueError(f"layer {layer} cannot be predicted: that takes {FIRST_TARGET} layers before it")
    return layer + 1 if reading == "in_sample" else layer


@cache
def layer_coefficients(layer_count: int, layer: int, reading: Reading, alpha: float) -> tuple[float, ...]:
    """Weights of layers 0, 1, … in the ridge prediction of a layer.

    Raises:
        ValueError: there are not two layers before it.
    """
    features = depth_features(layer_count)
    return tuple(coefficients(features[: known_layers(layer, reading)], features[layer], alpha).tolist())


def ridge_matrix(layer_count: int, reading: Reading, alpha: float) -> Floats:
    """Weights of all layers in the predictions of layers 2 to N − 1; shape (targets, layers)."""
    rows = [layer_coefficients(layer_count, layer, reading, alpha) for layer in range(FIRST_TARGET, layer_count)]
    return np.array([np.pad(row, (0, layer_count - len(row))) for row in rows])


def mean_matrix(layer_count: int, reading: Reading) -> Floats:
    """The same for a predictor that does not know the depth: the mean of the layers that the ridge is given."""
    known = [known_layers(layer, reading) for layer in range(FIRST_TARGET, layer_count)]
    return np.array([np.where(np.arange(layer_count) < count, 1 / count, 0.0) for count in known])


@dataclass(frozen=True)
class Fit:
    """How well layers are predicted.

    Attributes:
        r2: 1 − Σ (w − ŵ)² / Σ (w − w̄)² over the weights of each target, shape (targets,).
        error: standard error of each over the weights, treated as independent draws; shape (targets,).
        cosine: between predicted and actual weights; shape (targets,).
    """

    r2: Floats
    error: Floats
    cosine: Floats


def fit(weights: Floats, matrix: Floats) -> Fit:
    """How well a linear predictor does on layers 2 to N − 1.

    Args:
        weights: shape (layers, parameters).
        matrix: weights of all layers in each prediction, shape (layers − 2, layers).
    """
    actual, predicted = weights[FIRST_TARGET:], matrix @ weights
    residual = (actual - predicted) ** 2
    spread = (actual - actual.mean(axis=1, keepdims=True)) ** 2
    count = weights.shape[1]
    total = spread.sum(axis=1)
    total[total == 0] = np.nan  # a constant layer has no variance to explain
    unexplained = residual.sum(axis=1) / total
    deviations = residual - unexplained[:, None] * spread
    error = np.sqrt(count / (count - 1) * (deviations**2).sum(axis=1)) / total
    with np.errstate(invalid="ignore"):  # a layer of zeros has no direction: NaN
        norms = np.linalg.norm(actual, axis=1) * np.linalg.norm(predicted, axis=1)
        cosine = (actual * predicted).sum(axis=1) / norms
    return Fit(1 - unexplained, error, cosine)


def rank_order(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Positions of the values from least to greatest, equal ones in their order; shape (n,).

    The same as a stable `argsort` in a tenth of the time: numpy sorts integers with vector instructions, and a
    value and its position fit into one integer.
    """
    bits = (values + np.float32(0)).view(np.int32)  # the sum makes −0 a 0
    ordered = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)  # integers in the order of the floats
    keys = (ordered.astype(np.int64) << 32) | np.arange(len(values))
    keys.sort()
    return keys & 0xFFFFFFFF
