"""A recurrent network of pictures with scikit-learn's conventions.

Shapes: ``N`` pictures, ``S`` samples of each, ``R`` rows, ``C`` columns.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from unspool.data.labels import LabelType, from_text, to_text, type_of
from unspool.data.pictures import Pictures, brightest, grey_of
from unspool.data.sequences import naming
from unspool.errors import DataError
from unspool.estimators.drawing_completer_parameters import DrawingCompleterParameters
from unspool.estimators.drawing_completer_task import new_task
from unspool.estimators.estimator import Estimator, draw_seed
from unspool.estimators.inputs import read_labels
from unspool.estimators.parameters import check
from unspool.tasks.draw.predictor import DrawingPredictor, Values


@dataclass(eq=False, repr=False)
class DrawingCompleter(Estimator):
    """Tell how likely pictures are, go on with those that are begun, and draw new ones.

    A picture's pixels are foretold one after another, row by row from the top, by a recurrent
    network; their probabilities given all before them make an exact likelihood. ``X`` is an array
    ``(N, R, C)`` of brightness, from 0 for black.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
    hidden_size : int
        Even.
    num_layers : int
        Layers along the row that is being drawn.
    num_sweeps : int
        Pairs of a sweep down the columns and one across the rows, over what is above.
    window : int
        Pixels that are seen directly, on either side in the row above and to the left.
    pixels : {"binary", "grey"}
        Black and white, or 256 shades of grey.
    num_mixtures : int, optional
        For grey: logistics of a pixel's mixture; 5 when not given.
    binarisation : {"sampled", "threshold"}
        For black and white: whether a pixel's brightness is taken for the probability that it is
        white, drawn anew in every epoch and by a fixed seed where pictures are judged; or compared
        with a half.
    conditional : bool
        Draw what a label names; ``fit`` then needs ``y``.
    white : float, optional
        The value of full brightness; the greatest in ``X`` when not given. More is white, too.
    dropout : float
        Share of a layer's outputs that is dropped before they are added to what is below it.
    epochs : int
        Passes over the training pictures, at most.
    batch_size : int
        Pictures of a step of the optimiser.
    optimizer : {"adamw", "adam", "sgd", "rmsprop", "nt-asgd"}
    learning_rate : float
        With a schedule, its highest value.
    weight_decay : float
    schedule : {"one-cycle", "cosine", "step", "plateau", "constant"}
    warmup : float, optional
        Share of the training in which the rate rises; by default 0.3 for ``one-cycle`` and 0 for
        the others.
    clip_norm : float, optional
        The norm that a gradient is scaled down to where it is larger.
    validation_fraction : float
        Share of the pictures that is held back to choose the best epoch by; 0 trains on all of them
        to the last epoch.
    patience : int, optional
        Stop after this many epochs without a lower loss on what is held back.
    random_state : int, RandomState instance or None
        Decides the first weights, the order of the pictures, binarisation and dropout.
    device : {"auto", "cpu", "cuda"}
    verbose : bool
        Print a line for every record of ``history_``.

    Attributes
    ----------
    classes_ : array
        The labels that a conditional network knows.
    white_ : float
        The value of full brightness.
    predictor_ : DrawingPredictor
        The network and what it takes to show it pictures.
    n_iter_ : int
        Epochs that the training went.
    history_ : list of dict
        Its records: loss in nats an image, after each epoch.
    validation_ : dict or None
        Loss and metrics of the kept weights on what was held back.

    See Also
    --------
    unspool.load : Make one from a folder, also from that of a run of ``unspool train``.

    Examples
    --------
    Zeros and ones, of which only the upper half is seen:

    >>> from sklearn.datasets import load_digits
    >>> from unspool import DrawingCompleter
    >>> X = load_digits(n_class=2).images[:64]
    >>> completer = DrawingCompleter(hidden_size=16, num_sweeps=1, epochs=20, random_state=0)
    >>> completer.fit(X).complete(X[:2], rows=4, samples=3, random_state=0).shape
    (2, 3, 8, 8)
    >>> lying = X.swapaxes(1, 2)
    >>> completer.score(X) > completer.score(lying)
    True
    """

    hidden_size: int = 64
    num_layers: int = 2
    _: KW_ONLY
    num_sweeps: int = 2
    window: int = 3
    pixels: str = "binary"
    num_mixtures: int | None = None
    binarisation: str = "sampled"
    conditional: bool = False
    white: float | None = None

    predictor_: DrawingPredictor = field(init=False)
    classes_: NDArray[Any] = field(init=False)

    # --- learning --------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> DrawingCompleter:
        """Train a new network.

        Parameters
        ----------
        X : (N, R, C) array
            Brightness.
        y : (N,) array, optional
            What each picture shows; looked at with ``conditional`` alone.

        Returns
        -------
        DrawingCompleter
            This one.

        Raises
        ------
        RecipeError
            With everything that is wrong with the parameters.
        DataError
            If the pictures or labels cannot be learned from.
        TrainingError
            If gradients are no longer finite.
        """
        parameters = check(DrawingCompleterParameters, self)
        seed = draw_seed(self.random_state)
        values = _brightness(X)
        white = parameters.white or brightest(values, "X")
        labels: NDArray[np.str_] | None = None
        label_type: LabelType = "str"
        self.__dict__.pop("classes_", None)  # of an earlier fit
        if parameters.model.conditional:
            read = read_labels(y, len(values))
            labels, label_type = read.texts, type_of(read.classes)
        with naming("X"):
            pictures = Pictures(grey_of(values, white), labels)
        self._learn(new_task(pictures, white, label_type, parameters, seed), parameters, seed)
        return self

    # --- likelihood ------------------------------------------------------------------------

    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None) -> NDArray[np.float64]:
        """The log-likelihood of each picture in nats: exact, no bound.

        Parameters
        ----------
        X : (N, R, C) array
            Black and white pixels are drawn from it by a fixed seed, if it has grey ones.
        y : (N,) array, optional
            What each shows, for a conditional network.

        Returns
        -------
        (N,) array
        """
        grey = self._read(X)
        targets = self._targets(y, len(grey))
        values = self.predictor_.values(grey)
        by_row = self.predictor_.log_likelihoods(values, targets)  # (N, R)
        return np.asarray(by_row.sum(1))

    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """The mean of :meth:`score_samples`: nats a picture, higher is better."""
        return float(self.score_samples(X, y).mean())

    # --- drawing ---------------------------------------------------------------------------

    def complete(
        self,
        X: ArrayLike,
        rows: int,
        samples: int = 1,
        *,
        y: ArrayLike | None = None,
        temperature: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> NDArray[np.float64]:
        """Go on with pictures from their first rows.

        Parameters
        ----------
        X : (N, R, C) array
            What is below the first rows is not looked at.
        rows : int
            How many are given; they stay as they are, in the pixels that the network draws.
        samples : int
            How many completions of each, ``S``.
        y : (N,) array, optional
            What is to be drawn, for a conditional network.
        temperature : float
            Below 1 the likely gets likelier; 0 takes each pixel's most probable value.
        random_state : int, RandomState instance or None
            The same number draws the same, whatever is drawn beside it.

        Returns
        -------
        (N, S, R, C) array
            Brightness from 0 to ``white_``.
        """
        grey = self._read(X)
        if not 0 <= rows <= grey.shape[1]:
            raise DataError(f"rows = {rows}, expected 0 to {grey.shape[1]}, all that X has")
        _check_drawing(samples, temperature)
        drawn = self.predictor_.complete(
            self.predictor_.values(grey),
            rows,
            samples,
            temperature=temperature,
            targets=self._targets(y, len(grey)),
            seed=draw_seed(random_state),
        )
        return self._shown(drawn)

    def sample(
        self,
        n_samples: int = 1,
        *,
        y: ArrayLike | None = None,
        temperature: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> NDArray[np.float64]:
        """Draw pictures from nothing, ``(n_samples, R, C)``; else as :meth:`complete`."""
        check_is_fitted(self)
        _check_drawing(n_samples, temperature)
        drawn = self.predictor_.sample(
            n_samples,
            temperature=temperature,
            targets=self._targets(y, n_samples),
            seed=draw_seed(random_state),
        )
        return self._shown(drawn)

    # --- X and y ---------------------------------------------------------------------------

    @property
    def white_(self) -> float:
        """The value of full brightness."""
        check_is_fitted(self)
        return self.predictor_.white

    def _read(self, X: ArrayLike) -> NDArray[np.uint8]:
        """Take pictures to answer about."""
        check_is_fitted(self)
        values = _brightness(X)
        with naming("X"):
            pictures = Pictures(grey_of(values, self.predictor_.white))
        self.predictor_.check(pictures, "X")
        return pictures.grey

    def _targets(self, y: ArrayLike | None, count: int) -> Tensor | None:
        """What each picture shows, by its number; None for a network that is told nothing."""
        if self.predictor_.classes is None:
            return None
        if y is None:
            raise DataError("y is None for a conditional network, expected a label a picture")
        labels = np.asarray(y)
        if labels.shape != (count,):
            raise DataError(f"y has shape {labels.shape}, expected {count} labels, one a picture")
        return self.predictor_.targets(to_text(labels), "y")

    def _shown(self, values: Values) -> NDArray[np.float64]:
        brightness: NDArray[np.float64] = self.predictor_.grey(values) / 255 * self.white_
        return brightness

    # --- the model folder ------------------------------------------------------------------

    def _adopt(self, predictor: Any, card: str) -> None:
        super()._adopt(predictor, card)
        if predictor.classes is not None:
            self.classes_ = np.unique(from_text(predictor.classes, predictor.label_type))

    @classmethod
    def _of(cls, predictor: DrawingPredictor, card: str, device: str) -> DrawingCompleter:
        """One that draws by a network that was read from a folder."""
        completer = cls(
            **DrawingCompleterParameters.of_model(predictor.model.settings),
            binarisation=predictor.binarisation.method,
            white=predictor.white,
            device=device,
        )
        completer._adopt(predictor, card)
        return completer


def _brightness(X: ArrayLike) -> NDArray[Any]:
    """Check that it is pictures."""
    values = np.asarray(X)
    if values.ndim != 3 or 0 in values.shape:
        raise DataError(
            f"X has shape {values.shape}, expected (pictures, rows, columns), none of them 0"
        )
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if not (np.issubdtype(values.dtype, np.number) and np.isrealobj(values)):
        raise DataError(f"X has type {values.dtype}, expected numbers")
    if not np.isfinite(values).all():
        raise DataError("X has values that are not finite, expected brightness")
    return values


def _check_drawing(samples: int, temperature: float) -> None:
    if samples < 1:
        raise DataError(f"{samples} samples, expected 1 or more")
    if not 0 <= temperature < np.inf:
        raise DataError(f"temperature = {temperature}, expected 0 or more")
