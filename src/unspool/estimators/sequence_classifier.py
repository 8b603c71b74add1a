"""A recurrent classifier with scikit-learn's conventions.

Shapes: ``N`` sequences, ``T`` steps, ``F`` features, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from unspool.data.labelled_text import LabelledText
from unspool.data.labels import from_text, to_text
from unspool.data.sequences import Sequences
from unspool.errors import DataError
from unspool.estimators.classifier_parameters import SequenceClassifierParameters
from unspool.estimators.classifier_task import new_task, tokens_of
from unspool.estimators.estimator import Estimator, draw_seed
from unspool.estimators.inputs import Labels, check_text, form_of, read_labels
from unspool.estimators.parameters import check
from unspool.tasks.classify.predictor import LabelPredictor


@dataclass(eq=False, repr=False)
class SequenceClassifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Say what a sequence is, by a recurrent network.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
    hidden_size, num_layers : int
    bidirectional : bool
        Read every sequence from both ends.
    input_projection : int, optional
        Size of a linear layer between the features and the first recurrent layer.
    embedding_size : int, optional
        For text: numbers that stand for a token; 32 when not given.
    unit : {"character", "word", "byte", "bpe"}
        For text: what a token is.
    vocabulary_size : int, optional
        For text: tokens at most, the most frequent ones; ``bpe`` needs it.
    dropout : float
        Share of a recurrent layer's outputs that is dropped on the way to the next layer and to
        the answer, in training.
    forget_bias : float, optional
        What an LSTM's forget gates start from.
    objective : {"end", "every-step"}
        Learn to answer after the last step, or after every step; the latter makes beliefs about
        the beginnings of sequences better.
    epochs : int
        Passes over the training data, at most.
    batch_size : int
        Sequences a step of the optimiser.
    optimizer : {"adamw", "adam", "sgd", "rmsprop", "nt-asgd"}
    learning_rate : float
        With a schedule, its highest value.
    weight_decay : float
    schedule : {"one-cycle", "cosine", "step", "plateau", "constant"}
        How the learning rate changes; see :class:`unspool.training.optimization.ScheduleSettings`.
    warmup : float, optional
        Share of the training in which the rate rises; by default 0.3 for ``one-cycle`` and 0 for
        the others.
    clip_norm : float, optional
        The norm that a gradient is scaled down to where it is larger.
    validation_fraction : float
        Share of the sequences that is held back to choose the best epoch by; 0 trains on all of
        them to the last epoch. The division is stratified and the same for every random state.
    patience : int, optional
        Stop after this many epochs without a lower loss on what is held back.
    class_weight : "balanced" or {label: weight}, optional
        How much each class counts in the loss, 1 where a label is not named; ``balanced`` weighs
        a class by the inverse of its frequency.
    normalisation : {"standard", "global", "range", "none"}
        How features are scaled by what is found in the training data: each to mean 0 and
        deviation 1, all together so, all together to 0…1, or not at all. The columns of a table
        are one and the same feature at different steps, and are therefore scaled together.
    random_state : int, RandomState instance or None
        Decides the first weights, the order of the batches and dropout. The same number gives
        the same network, bit for bit, on one machine's CPU with the same number of threads. None
        draws a number from numpy's global state, as everywhere in scikit-learn; neither that state
        nor torch's is touched otherwise.
    device : {"auto", "cpu", "cuda"}
        ``auto`` is a GPU where there is one.
    verbose : bool
        Print a line for every record of ``history_``.

    Attributes
    ----------
    classes_ : (C,) array
        The labels, sorted, of the type that ``y`` had.
    n_features_in_ : int
        Features of a step; for a table, its columns (which are steps).
    feature_names_in_ : array of str
        The columns' names, where ``X`` was a data frame.
    predictor_ : unspool.tasks.classify.predictor.LabelPredictor
        The network with its normalisation and labels.
    history_ : list of dict
        Loss, accuracy and more of every epoch, with ``split`` ``train`` or ``validation``. Not
        there after :func:`unspool.load`, like ``n_iter_`` and ``validation_``.
    n_iter_ : int
        Epochs trained.
    validation_ : dict or None
        Loss and accuracy of the network on what was held back, if anything was.

    See Also
    --------
    load : Make one from a folder, also from that of a run of ``unspool train``.

    Notes
    -----
    ``X`` has one of four forms, in :meth:`fit` and wherever else it stands:

    - an array ``(N, T, F)``;
    - a list of arrays ``(T_i, F)``, or ``(T_i,)`` as one feature a step, of any lengths;
    - a table ``(N, T)``, an array or data frame, as one feature a step. A network that was
      fitted on a table expects the same columns again, as all of scikit-learn does. Sequences of
      other lengths, such as their first ``t`` steps, are given to it as ``X[:, :t, None]`` or as
      a list. A folder does not keep the columns: after :func:`unspool.load` any number is accepted;
    - a list or series of strings: texts, read token by token.

    For a network the number of steps is free: sequences may be shorter or longer than those that
    it was fitted on.

    Examples
    --------
    Is there more of the wave at its beginning or at its end?

    >>> import numpy as np
    >>> from unspool import SequenceClassifier
    >>> rng = np.random.default_rng(0)
    >>> labels = np.array(["fades", "grows"] * 20)
    >>> ramps = {"fades": np.linspace(1, 0, 12), "grows": np.linspace(0, 1, 12)}
    >>> X = [np.sin(np.arange(12) + rng.uniform(0, 6)) * ramps[label] for label in labels]
    >>> classifier = SequenceClassifier(hidden_size=16, epochs=20, random_state=0).fit(X, labels)
    >>> classifier.score(X, labels)
    1.0
    >>> belief = classifier.predict_proba_by_step(X[:1])[0]
    >>> belief.shape
    (12, 2)
    """

    hidden_size: int = 64
    _: KW_ONLY
    bidirectional: bool = False
    input_projection: int | None = None
    embedding_size: int | None = None
    unit: str = "character"
    vocabulary_size: int | None = None
    forget_bias: float | None = None
    objective: str = "end"
    epochs: int = 100
    class_weight: str | Mapping[Any, float] | None = None
    normalisation: str = "standard"

    predictor_: LabelPredictor = field(init=False)
    classes_: NDArray[Any] = field(init=False)
    n_features_in_: int = field(init=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # --- learning --------------------------------------------------------------------------

    def fit(self, X: Any, y: Any) -> SequenceClassifier:
        """Train a new network.

        Parameters
        ----------
        X : array or list
            ``N`` sequences, in one of the forms of the notes above.
        y : (N,) array
            Each sequence's label: text, whole numbers or booleans.

        Returns
        -------
        SequenceClassifier
            This one.

        Raises
        ------
        RecipeError
            With everything that is wrong with the parameters.
        DataError, ValueError
            If the sequences or labels cannot be learned from.
        TrainingError
            If gradients are no longer finite.
        """
        parameters = check(SequenceClassifierParameters, self)
        seed = draw_seed(self.random_state)
        sequences = self._read_new(X)
        labels = read_labels(y, len(sequences))
        task = new_task(_labelled(sequences, labels), labels, parameters, seed)
        self._learn(task, parameters, seed)
        self._order_answers(labels.classes)
        return self

    def _order_answers(self, classes: NDArray[Any]) -> None:
        """Give the network's answers in the order of these classes."""
        self.classes_ = classes
        outputs = {text: position for position, text in enumerate(self.predictor_.classes)}
        self._outputs = np.array([outputs[text] for text in to_text(classes).tolist()])

    # --- answers ---------------------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each sequence.

        Parameters
        ----------
        X : array or list
            ``N`` sequences, in one of the forms of the notes above.

        Returns
        -------
        (N,) array
            Of the type of ``classes_``.
        """
        best = self.predict_proba(X).argmax(1)
        answers: NDArray[Any] = self.classes_[best]
        return answers

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, after each sequence's last step.

        Parameters
        ----------
        X : array or list
            ``N`` sequences, in one of the forms of the notes above.

        Returns
        -------
        (N, C) array
            In the order of ``classes_``.
        """
        sequences = self._read(X)
        return self.predictor_.probabilities(sequences)[:, self._outputs]

    def predict_proba_by_step(self, X: Any) -> NDArray[np.float64] | list[NDArray[np.float64]]:
        """The probability of each class after each step, from the steps so far alone.

        Parameters
        ----------
        X : array or list
            ``N`` sequences, in one of the forms of the notes above.

        Returns
        -------
        (N, T, C) array, or list of N arrays (T_i, C)
            A list where ``X`` is a list of sequences or of texts, else an array.
        """
        sequences = self._read(X)
        beliefs = self.predictor_.probabilities_by_step(sequences)
        ordered = [belief[:, self._outputs] for belief in beliefs]
        return ordered if form_of(X) in ("list", "text") else np.stack(ordered)

    def read_until(self, X: Any, belief: float = 0.99) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The label of each sequence as soon as it is probable enough; no step after is read.

        Parameters
        ----------
        X : array or list
            ``N`` sequences, in one of the forms of the notes above.
        belief : float
            The probability that the most probable class must have, above 0 and at most 1. A
            sequence that never makes a class so probable is read to its end.

        Returns
        -------
        labels : (N,) array
            Of the type of ``classes_``.
        steps : (N,) array of int64
            How many steps of each sequence were read.

        Raises
        ------
        DataError
            If the network reads from both ends.
        ValueError
            If ``belief`` is no probability above 0.
        """
        if not 0 < belief <= 1:
            raise ValueError(f"belief is {belief!r}, expected a probability above 0 and at most 1")
        beliefs = self.predictor_.probabilities_until(self._read(X), belief)
        best = np.array([after[-1, self._outputs].argmax() for after in beliefs])
        return self.classes_[best], np.array([len(after) for after in beliefs])

    # --- X ---------------------------------------------------------------------------------

    def _read_new(self, X: Any) -> Sequences | LabelledText:
        """Take the sequences to learn from, and note what they look like."""
        form = form_of(X)
        self._fitted_on_table = form == "table"
        if form == "table":
            return _check(Sequences.from_array(validate_data(self, X)))
        self.__dict__.pop("feature_names_in_", None)  # of an earlier fit on a data frame
        if form == "text":
            self.n_features_in_ = 1
            return _texts(X)
        sequences = _check(_from_array_or_list(X))
        self.n_features_in_ = sequences.num_features
        return sequences

    def _read(self, X: Any) -> Sequences:
        """Take sequences to answer about."""
        check_is_fitted(self)
        reads_text = self.predictor_.vocabulary is not None
        if (form_of(X) == "text") != reads_text:
            wanted = "texts" if reads_text else "numbers"
            raise DataError(f"X holds no {wanted}, expected them as in training")
        if reads_text:
            return _check(tokens_of(_texts(X), self.predictor_.vocabulary))
        if form_of(X) != "table":
            sequences = _from_array_or_list(X)
        elif self._fitted_on_table:
            sequences = Sequences.from_array(validate_data(self, X, reset=False))
        else:
            sequences = Sequences.from_array(check_array(X))
        self.predictor_.check_features(_check(sequences), "X")
        return sequences

    # --- the model folder ------------------------------------------------------------------

    @classmethod
    def _of(cls, predictor: LabelPredictor, card: str, device: str) -> SequenceClassifier:
        """One that answers by a network that was read from a folder."""
        classifier = cls(
            **SequenceClassifierParameters.of_model(predictor.model.settings),
            objective=predictor.objective,
            device=device,
        )
        if predictor.vocabulary is not None:
            classifier.unit = predictor.vocabulary.unit
        classifier.n_features_in_ = predictor.model.num_features
        classifier._fitted_on_table = False
        classifier._adopt(predictor, card)
        classes = np.unique(from_text(predictor.classes, predictor.label_type))
        classifier._order_answers(classes)
        return classifier


def _from_array_or_list(X: Any) -> Sequences:
    return Sequences.from_list(X) if form_of(X) == "list" else Sequences.from_array(X)


def _labelled(sequences: Sequences | LabelledText, labels: Labels) -> Sequences | LabelledText:
    return replace(sequences, labels=labels.texts)


def _texts(X: Any) -> LabelledText:
    texts = tuple(X)
    for number, text in enumerate(texts):
        check_text(text, f"text {number} of X")
    return LabelledText(texts)


def _check(sequences: Sequences) -> Sequences:
    return sequences.check("X")
