"""A recurrent language model with scikit-learn's conventions.

Shapes: ``N`` texts, ``V`` tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from unspool.data.corpus import Corpus
from unspool.decoding.sampling import SamplingSettings
from unspool.errors import DataError
from unspool.estimators.estimator import Estimator, draw_seed
from unspool.estimators.language_parameters import LanguageModelParameters
from unspool.estimators.language_task import new_task, read_texts
from unspool.estimators.parameters import check, check_flat
from unspool.tasks.predict.continuation import Place
from unspool.tasks.predict.evaluation import TextEvaluation
from unspool.tasks.predict.predictor import TextPredictor
from unspool.tasks.predict.writing import Writing


class Candidate(NamedTuple):
    """A token that may come next.

    Parameters
    ----------
    token : str
    probability : float
    """

    token: str
    probability: float


class TextState:
    """Where the reading of a text has come to: what :meth:`LanguageModel.read` gives.

    It is never changed; reading on gives another one.
    """

    def __init__(self, place: Place, ending: str) -> None:
        self._place = place
        self._ending = ending

    def __repr__(self) -> str:
        return f"{type(self).__name__}(after {self._place.tokens.shape[1]} tokens)"


@dataclass(eq=False, repr=False)
class LanguageModel(Estimator):
    """Say what comes next in a text, by a recurrent network.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
    hidden_size, num_layers : int
    embedding_size : int, optional
        ``hidden_size`` when not given.
    tie_weights : bool
        Use the embedding as the output layer's weights, too.
    dropout : float
        Share of the features dropped before the first layer, between layers and after the last
        one, the same at every step, in training.
    unit : {"word", "character", "byte", "bpe"}
        What a token is.
    vocabulary_size : int, optional
        Tokens at most, the most frequent ones; ``bpe`` needs it.
    view : {"streams", "windows"}
        Read texts as streams and keep the state, or through windows of ``context`` tokens.
    steps : int
        For streams: tokens through which gradients go back.
    context : int
        For windows: tokens that are shown.
    epochs : int
        Passes over the training texts, at most.
    batch_size : int
        Streams or windows a step of the optimiser.
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
        Share of the texts, the last ones, that is held back to choose the best epoch by; 0 trains
        on all of them to the last epoch.
    patience : int, optional
        Stop after this many epochs without a lower loss on what is held back.
    random_state : int, RandomState instance or None
        Decides the first weights, the order of the texts and dropout.
    device : {"auto", "cpu", "cuda"}
    verbose : bool
        Print a line for every record of ``history_``.

    Attributes
    ----------
    vocabulary_ : tuple of str
        The tokens, ``V``.
    predictor_ : TextPredictor
        The network and what it takes to answer by it.
    n_iter_ : int
        Epochs that the training went.
    history_ : list of dict
        Its records: loss in nats a token, and perplexity or bits, after each epoch.
    validation_ : dict or None
        Loss and metric of the kept weights on what was held back.

    See Also
    --------
    unspool.load : Make one from a folder, also from that of a run of ``unspool train``.

    Examples
    --------
    >>> from unspool import LanguageModel
    >>> texts = ["the cat sleeps and the mouse sings and"] * 20
    >>> model = LanguageModel("gru", 16, steps=6, batch_size=4, random_state=0).fit(texts)
    >>> [candidate.token for candidate in model.predict_next("and the mouse", top=1)]
    ['sings']
    >>> state = model.read("the cat")
    >>> model.predict_next("sleeps", state=state)[0].token
    'and'
    """

    _: KW_ONLY
    embedding_size: int | None = None
    tie_weights: bool = False
    unit: str = "word"
    vocabulary_size: int | None = None
    view: str = "streams"
    steps: int = 35
    context: int = 3
    batch_size: int = 16

    predictor_: TextPredictor = field(init=False)

    # --- learning --------------------------------------------------------------------------

    def fit(self, X: Iterable[str], y: Any = None) -> LanguageModel:
        """Train a new network.

        Parameters
        ----------
        X : iterable of str
            ``N`` texts, each a document of its own.
        y : ignored
            There for scikit-learn's sake.

        Returns
        -------
        LanguageModel
            This one.

        Raises
        ------
        RecipeError
            With everything that is wrong with the parameters.
        DataError
            If the texts cannot be learned from.
        TrainingError
            If gradients are no longer finite.
        """
        del y
        parameters = check(LanguageModelParameters, self)
        seed = draw_seed(self.random_state)
        self._learn(new_task(read_texts(X), parameters, seed), parameters, seed)
        return self

    @property
    def vocabulary_(self) -> tuple[str, ...]:
        """The tokens, ``V``."""
        check_is_fitted(self)
        return self.predictor_.vocabulary.tokens

    # --- reading and what comes next -------------------------------------------------------

    def read(self, text: str, state: TextState | None = None) -> TextState:
        """Read a text.

        Parameters
        ----------
        text : str
        state : TextState, optional
            Where to read on; the beginning of a text when not given.

        Returns
        -------
        TextState
            To be given to the next call.
        """
        check_is_fitted(self)
        before = "" if state is None else state._ending
        place = self.predictor_.read(_text(text), None if state is None else state._place)
        return TextState(place, (before + text)[-1:])

    def predict_next(
        self, text: str = "", *, top: int = 5, state: TextState | None = None
    ) -> list[Candidate]:
        """What is likely to come next after a text, most probable first.

        Parameters
        ----------
        text : str
            May be empty.
        top : int
            How many candidates.
        state : TextState, optional
            What was read before.

        Raises
        ------
        ValueError
            If ``top`` is below 1.
        """
        if top < 1:
            raise ValueError(f"top is {top}, expected 1 or more")
        place = self.read(text, state)._place
        ranked = self.predictor_.next_tokens(place, top)["top"]
        return [Candidate(rank["label"], rank["probability"]) for rank in ranked]

    def generate(
        self,
        prompt: str = "",
        length: int = 100,
        *,
        count: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        typical: float | None = None,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] = (),
        state: TextState | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> list[str]:
        """Write on after a prompt.

        Parameters
        ----------
        prompt : str
            May be empty.
        length : int
            Tokens at most.
        count : int
            How many texts; the first ones do not depend on how many there are.
        temperature, top_k, top_p, typical, repetition_penalty
            See :class:`unspool.decoding.sampling.SamplingSettings`.
        stop : str or sequence of str
            Words after any of which a text ends.
        state : TextState, optional
            What was read before the prompt.
        random_state : int, RandomState instance or None
            The same number writes the same texts.

        Returns
        -------
        list of str
            What follows the prompt in each text.

        Raises
        ------
        RecipeError
            With everything that is wrong with the rules of drawing.
        """
        rules = {
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "typical": typical,
            "repetition_penalty": repetition_penalty,
        }
        sampling = check_flat(SamplingSettings, rules, "generate")
        stop = [stop] if isinstance(stop, str) else stop
        begun = self.read(prompt, state)
        vocabulary = self.predictor_.vocabulary
        writings = [Writing(vocabulary, begun._ending, stop) for _ in range(count)]
        texts = [""] * count
        seed = draw_seed(random_state)
        drawn = self.predictor_.draw(begun._place, sampling, length=length, seed=seed, count=count)
        for tokens in drawn:
            for number, writing in enumerate(writings):
                if not writing.ended:
                    texts[number] += writing.add(int(tokens[number]))
            if all(writing.ended for writing in writings):
                break
        return texts

    # --- judging ---------------------------------------------------------------------------

    def perplexity(self, X: Iterable[str]) -> float:
        """How many tokens the model wavers between on average: exp of the mean nats a token.

        Parameters
        ----------
        X : iterable of str
            ``N`` texts, whose tokens all count alike.

        Raises
        ------
        DataError
            If there is no text in them.
        """
        return float(np.exp(self._evaluate(X).loss))

    def score(self, X: Iterable[str], y: Any = None) -> float:
        """Mean log-likelihood of a token in nats; higher is better.

        Parameters
        ----------
        X : iterable of str
            ``N`` texts, whose tokens all count alike.
        y : ignored
            There for scikit-learn's sake.

        Raises
        ------
        DataError
            If there is no text in them.
        """
        del y
        return -self._evaluate(X).loss

    def _evaluate(self, X: Iterable[str]) -> TextEvaluation:
        check_is_fitted(self)
        corpus = Corpus.from_texts(read_texts(X), self.predictor_.vocabulary)
        return self.predictor_.evaluate(corpus, "X")

    # --- the model folder ------------------------------------------------------------------

    @classmethod
    def _of(cls, predictor: TextPredictor, card: str, device: str) -> LanguageModel:
        """One that answers by a network that was read from a folder."""
        settings = predictor.model.settings
        model = cls(
            **LanguageModelParameters.of_model(settings),
            dropout=settings.dropout.outputs,
            unit=predictor.vocabulary.unit,
            view=predictor.view,
            context=predictor.context,
            device=device,
        )
        model._adopt(predictor, card)
        return model


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise DataError(f"the text is a {type(text).__name__}, expected a string")
    return text
