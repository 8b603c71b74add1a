"""A recurrent encoder-decoder network with scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from unspool.data.pair_corpus import PairCorpus
from unspool.decoding.settings import BeamSettings
from unspool.errors import DataError
from unspool.estimators.estimator import Estimator, draw_seed
from unspool.estimators.pair_inputs import Texts, read_pairs, read_texts
from unspool.estimators.parameters import check, check_flat
from unspool.estimators.seq2seq_parameters import Seq2SeqParameters
from unspool.estimators.seq2seq_task import new_task
from unspool.tasks.translate.predictor import PairPredictor
from unspool.tasks.translate.scores import exact_match, scores

Text = str | Sequence[str]
"""A text, or a list of tokens."""


@dataclass(eq=False, repr=False)
class Seq2Seq(Estimator):
    """Answer a text with a text, by an encoder and a decoder that are recurrent networks.

    Sources and targets are lists of strings, or lists of lists of tokens, where a token is a string
    without white space. Strings are taken apart by ``unit``, white space around them counts for
    nothing; lists of tokens are taken as they are, and answered by such lists.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
    hidden_size : int
    num_layers : int
        Of the encoder, and of the decoder.
    num_decoder_layers : int, optional
        The decoder's, where it is to have others.
    embedding_size : int, optional
        ``hidden_size`` when not given.
    attention : {"none", "additive", "multiplicative"}
        How the decoder looks back at the source.
    input_feeding : bool
        Give what was seen at a step to the next one.
    bidirectional : bool
        Read the source from both ends.
    reverse_source : bool
        Read it from its end to its beginning, which helps a network without attention; for an
        encoder that is not bidirectional.
    tie_weights : bool
        Use the target's embedding as the output layer's weights, too.
    label_smoothing : float
        Share of the probability that training asks to be spread over the whole vocabulary.
    dropout : float
        Share of the features dropped before the first layer, between layers and after the last
        one, the same at every step, in training.
    unit : {"word", "character", "byte", "bpe"}
        What a token of a text is. Words have punctuation set apart.
    vocabulary_size : int, optional
        Tokens of each side at most, the most frequent ones; ``bpe`` needs it.
    joint_vocabulary : bool
        Whether sources and targets have one vocabulary.
    lowercase : bool
        Read and write everything in lower case.
    max_source_length, max_target_length : int, optional
        Tokens that a pair may have to be learned from; longer ones are left out.
    beam : int
        Answers that are pursued side by side; 1 is greedy search.
    length_penalty : float
        Above 0 long answers are preferred more.
    max_length : int
        Tokens of an answer at most.
    metric : {"exact_match", "bleu", "chrf"}
        What :meth:`score` tells: the share of answers that are right letter for letter, fit for
        dates and names; or for sentences BLEU or chrF, from 0 to 100.
    epochs : int
        Passes over the training pairs, at most.
    batch_size : int
        Tokens of a step of the optimiser, those of the longer side, padding counted.
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
        Share of the sources that is held back, with all their targets, to choose the best epoch by;
        0 trains on all of them to the last epoch.
    patience : int, optional
        Stop after this many epochs without a lower loss on what is held back.
    random_state : int, RandomState instance or None
        Decides the first weights, the order of the pairs and dropout.
    device : {"auto", "cpu", "cuda"}
    verbose : bool
        Print a line for every record of ``history_``.

    Attributes
    ----------
    left_out_ : list of str
        What was not learned from, and why: pairs with an empty side, or too long.
    predictor_ : PairPredictor
        The network and what it takes to answer by it.
    n_iter_ : int
        Epochs that the training went.
    history_ : list of dict
        Its records: loss in nats a token, and perplexity, after each epoch.
    validation_ : dict or None
        Loss and metrics of the kept weights on what was held back.

    See Also
    --------
    unspool.load : Make one from a folder, also from that of a run of ``unspool train``.

    Examples
    --------
    >>> from unspool import Seq2Seq
    >>> colours = {"red": "rouge", "green": "verte", "yellow": "jaune"}
    >>> things = {"house": "maison", "car": "voiture", "apple": "pomme", "door": "porte"}
    >>> sources = [f"a {colour} {thing}" for colour in colours for thing in things]
    >>> targets = [f"une {things[s.split()[2]]} {colours[s.split()[1]]}" for s in sources]
    >>> model = Seq2Seq("gru", 16, epochs=100, learning_rate=0.03, random_state=0)
    >>> model.fit(sources[1:], targets[1:]).predict(["a red house"])
    ['une maison rouge']
    >>> model.score(sources, targets)
    1.0
    """

    _: KW_ONLY
    num_decoder_layers: int | None = None
    embedding_size: int | None = None
    attention: str = "additive"
    input_feeding: bool = False
    bidirectional: bool = True
    reverse_source: bool = False
    tie_weights: bool = False
    label_smoothing: float = 0.0
    unit: str = "word"
    vocabulary_size: int | None = None
    joint_vocabulary: bool = False
    lowercase: bool = False
    max_source_length: int | None = None
    max_target_length: int | None = None
    beam: int = 5
    length_penalty: float = 0.0
    max_length: int = 200
    metric: str = "exact_match"
    batch_size: int = 1000

    predictor_: PairPredictor = field(init=False)
    left_out_: list[str] = field(init=False)

    # --- learning --------------------------------------------------------------------------

    def fit(self, sources: Iterable[Text], targets: Iterable[Text]) -> Seq2Seq:
        """Train a new network.

        Parameters
        ----------
        sources : iterable of str, or of lists of str
            ``N`` texts, or lists of tokens.
        targets : iterable of the same kind
            What answers each.

        Returns
        -------
        Seq2Seq
            This one.

        Raises
        ------
        RecipeError
            With everything that is wrong with the parameters.
        DataError
            If the pairs cannot be learned from.
        TrainingError
            If gradients are no longer finite.
        """
        parameters = check(Seq2SeqParameters, self)
        seed = draw_seed(self.random_state)
        pairs, tokenised = read_pairs(sources, targets)
        task = new_task(pairs, tokenised, parameters, seed)
        self.left_out_ = list(task.notes)
        self._learn(task, parameters, seed)
        return self

    # --- answers ---------------------------------------------------------------------------

    def predict(
        self, sources: Iterable[Text], beam: int | None = None, n_best: int = 1
    ) -> list[Any]:
        """Answer sources.

        Parameters
        ----------
        sources : iterable of str, or of lists of str
            ``N`` texts, or lists of tokens. An empty one is answered by an empty one.
        beam : int, optional
            The one it was fitted with, or ``n_best`` where that is more, when not given.
        n_best : int
            How many answers to each.

        Returns
        -------
        list of str, or of lists of str
            ``N`` answers, of the kind of the sources; with ``n_best`` above 1, ``N`` lists of so
            many, the best first. There are fewer where fewer were found.

        Raises
        ------
        RecipeError
            If ``beam`` and ``n_best`` do not fit each other.
        DataError
            If the sources are none, or lists of tokens for a network of other units.
        """
        check_is_fitted(self)
        given = read_texts(sources, "sources")
        found = [
            [_as_given(one.text, given.tokenised) for one in answers]
            for answers in self.predictor_.translate(
                self._readable(given), self._decoding(beam, n_best)
            )
        ]
        return found if n_best > 1 else [best for best, *_ in found]

    def _decoding(self, beam: int | None, n_best: int) -> BeamSettings:
        own = self.predictor_.decoding
        wide = max(own.beam, n_best) if beam is None else beam
        return check_flat(
            BeamSettings, {**own.model_dump(), "beam": wide, "n_best": n_best}, "predict"
        )

    def _readable(self, given: Texts) -> list[str]:
        """The texts, if the network takes apart by white space what was apart already."""
        codec = self.predictor_.codecs.source
        by_space = codec.vocabulary.unit == "word" and not codec.separate_punctuation
        if given.tokenised and not by_space:
            raise DataError(
                "sources holds lists of tokens, expected texts: the network was fitted on texts, "
                "which it takes apart itself; join the tokens, or fit it on lists of tokens"
            )
        return given.texts

    # --- judging ---------------------------------------------------------------------------

    def score(self, sources: Iterable[Text], targets: Iterable[Text]) -> float:
        """How good the answers are by ``metric``; higher is better.

        Parameters
        ----------
        sources, targets : iterable of str, or of lists of str
            ``N`` pairs.

        Returns
        -------
        float
            From 0 to 1 for ``exact_match``, from 0 to 100 for ``bleu`` and ``chrf``, which
            sacrebleu computes. Those of lists of tokens are of the tokens with spaces between.

        Raises
        ------
        DataError
            As :meth:`fit` and :meth:`predict` do.
        RecipeError
            If there is no such metric.
        """
        check_is_fitted(self)
        metric = check(Seq2SeqParameters, self).metric
        pairs, tokenised = read_pairs(sources, targets)
        texts = self._readable(Texts(list(pairs.sources), tokenised))
        answers = [best.text for best, *_ in self.predictor_.translate(texts)]
        if metric == "exact_match":
            return exact_match(answers, pairs.targets)
        return scores(answers, pairs.targets)[metric].value

    def perplexity(self, sources: Iterable[Text], targets: Iterable[Text]) -> float:
        """How many tokens the network wavers between on average where it should say the targets.

        Parameters
        ----------
        sources, targets : iterable of str, or of lists of str
            ``N`` pairs, whose target's tokens all count alike.

        Raises
        ------
        DataError
            As :meth:`fit` and :meth:`predict` do.
        """
        check_is_fitted(self)
        pairs, tokenised = read_pairs(sources, targets)
        self._readable(Texts(list(pairs.sources), tokenised))
        corpus = PairCorpus.encoded(pairs, self.predictor_.codecs)
        return float(np.exp(self.predictor_.judge(corpus, "the pairs").loss))

    # --- the model folder ------------------------------------------------------------------

    @classmethod
    def _of(cls, predictor: PairPredictor, card: str, device: str) -> Seq2Seq:
        """One that answers by a network that was read from a folder."""
        codecs, decoding = predictor.codecs, predictor.decoding
        vocabulary = codecs.source.vocabulary
        model = cls(
            **Seq2SeqParameters.of_model(predictor.model.settings),
            unit=vocabulary.unit,
            vocabulary_size=len(vocabulary) if vocabulary.unit == "bpe" else None,
            joint_vocabulary=codecs.joint,
            lowercase=codecs.source.lowercase,
            beam=decoding.beam,
            length_penalty=decoding.length_penalty,
            max_length=decoding.max_length,
            device=device,
        )
        model._adopt(predictor, card)
        return model


def _as_given(text: str, tokenised: bool) -> Text:
    return text.split() if tokenised else text
