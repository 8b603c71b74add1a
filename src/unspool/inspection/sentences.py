"""Sentence vectors: all that an encoder knows of a text at its end, laid out in a plane.

Sutskever, Vinyals & Le 2014, arXiv 1409.3215, section 3.8 and figure 2: texts that mean nearly the
same end in like states. One sees that the order of words matters, and that it matters little
whether a sentence is in the active or the passive voice.

Shapes: ``N`` texts, ``E`` numbers of a vector, that is all final states of all layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.data.pair_corpus import TokenRows
from unspool.errors import DataError
from unspool.tasks.translate.predictor import PairPredictor

_AT_A_TIME = 64


class Plane(NamedTuple):
    """Where vectors lie in the plane in which they differ most.

    Parameters
    ----------
    points : (N, 2) array of float64
    explained : (2,) array of float64
        The share of the variance along each of its directions, 0 to 1.
    """

    points: NDArray[np.float64]
    explained: NDArray[np.float64]


def sentence_vectors(predictor: PairPredictor, texts: Sequence[str]) -> NDArray[np.float32]:
    """Read texts, each on its own, and give the encoder's final states.

    Parameters
    ----------
    predictor : PairPredictor
    texts : sequence of str, ``N``

    Returns
    -------
    (N, E) array of float32
        Of every layer and direction h, and of an LSTM c.

    Raises
    ------
    DataError
        If there are no texts, or one is none.
    """
    if not texts:
        raise DataError("there are no texts, expected at least one to read")
    rows = TokenRows.of_sources(texts, predictor.codecs.source)
    order = np.argsort(rows.lengths, kind="stable")
    vectors: list[NDArray[np.float32]] = []
    with predictor.answering():
        for start in range(0, len(order), _AT_A_TIME):
            tokens, lengths = rows.padded(order[start : start + _AT_A_TIME])
            memory = predictor.model.encode(tokens.to(predictor.device), lengths)
            vectors.append(memory.sentence.float().cpu().numpy())
    found = np.concatenate(vectors)
    return found[np.argsort(order)]


def principal_plane(vectors: NDArray[np.floating]) -> Plane:
    """Project vectors on their first two principal components (Pearson 1901).

    A component may point one way or the opposite one; here its number of greatest size is positive,
    so that a picture is the same every time.

    Parameters
    ----------
    vectors : (N, E) array

    Raises
    ------
    DataError
        If there are fewer than two vectors, so that nothing can differ.

    Examples
    --------
    >>> plane = principal_plane(np.array([[0.0, 0, 5], [4, 0, 5], [0, 1, 5], [4, 1, 5]]))
    >>> plane.points.round(3).tolist()
    [[-2.0, -0.5], [2.0, -0.5], [-2.0, 0.5], [2.0, 0.5]]
    >>> plane.explained.round(3).tolist()
    [0.941, 0.059]
    """
    if len(vectors) < 2:
        raise DataError(
            f"{len(vectors)} sentence vector, expected at least two: one differs from none"
        )
    centred = np.asarray(vectors, np.float64)
    centred = centred - centred.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    two = np.zeros((2, centred.shape[1]))
    two[: len(directions[:2])] = directions[:2]
    greatest = np.abs(two).argmax(1)
    two *= np.where(two[[0, 1], greatest] < 0, -1.0, 1.0)[:, None]
    variances = np.zeros(2)
    variances[: len(sizes[:2])] = sizes[:2] ** 2
    return Plane(centred @ two.T, variances / max(float((sizes**2).sum()), np.finfo(float).tiny))
