"""The two codecs of pairs: one for sources and one for targets, or one for both."""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from pydantic import model_validator

from unspool.data.pairs import Pairs
from unspool.data.text_codec import TextCodec, normalised
from unspool.data.vocabulary import Size, TokenSettings, Vocabulary, VocabularySettings
from unspool.data.vocabulary_fitting import fit


class PairVocabularySettings(TokenSettings):
    """What the tokens of sources and targets are.

    Parameters
    ----------
    unit, size, min_count
        See :class:`unspool.data.vocabulary.TokenSettings`. ``size`` is that of each of the two, or
        of the joint one; the tokens that stand for a sequence's beginning, its end and padding
        are not counted.
    target_size : int, optional
        The size of the targets' vocabulary where it is another.
    joint : bool
        Whether sources and targets have one vocabulary, fitted on both: needed where they are to
        share embeddings, and good for languages that share words or names.
    lowercase : bool
        Read everything in lower case, and write it so.
    separate_punctuation : bool
        For words: whether punctuation marks are words of their own, put back in their place when a
        text is written. Off, a word is what stands between white space.
    """

    target_size: Size | None = None
    joint: bool = False
    lowercase: bool = False
    separate_punctuation: bool = True

    @model_validator(mode="after")
    def _target_size_fits(self) -> "PairVocabularySettings":
        if self.target_size is None:
            return self
        if self.joint:
            raise ValueError("target_size is for two vocabularies; a joint one has size alone")
        if self.unit == "byte":
            raise ValueError("unit 'byte' has 256 tokens always; leave target_size out")
        if self.unit == "bpe" and self.target_size < 256:
            raise ValueError(
                f"unit 'bpe' needs a target_size of 256, the bytes, or more; got {self.target_size}"
            )
        return self

    @property
    def separates(self) -> bool:
        """Whether punctuation is set apart: only words have any need of it."""
        return self.separate_punctuation and self.unit == "word"

    def codec(self, vocabulary: Vocabulary) -> TextCodec:
        """The codec of a vocabulary that was fitted with these settings."""
        return TextCodec(vocabulary, self.lowercase, self.separates)


class PairCodecs(NamedTuple):
    """The codecs of sources and targets; the same one twice where the vocabulary is joint."""

    source: TextCodec
    target: TextCodec

    @property
    def joint(self) -> bool:
        """Whether sources and targets have one vocabulary."""
        return self.source is self.target


def fit_codecs(pairs: Pairs, settings: PairVocabularySettings) -> PairCodecs:
    """Make the codecs of some pairs, which are to be the training part alone.

    Raises
    ------
    DataError
        If no token occurs often enough.

    Examples
    --------
    >>> codecs = fit_codecs(Pairs(("a cat",), ("un chat",)), PairVocabularySettings(joint=True))
    >>> codecs.joint, codecs.target.vocabulary.tokens
    (True, ('<unk>', 'a', 'cat', 'chat', 'un'))
    """
    if settings.joint:
        both = _fit(chain(pairs.sources, pairs.targets), settings, settings.size)
        return PairCodecs(both, both)
    return PairCodecs(
        _fit(pairs.sources, settings, settings.size),
        _fit(pairs.targets, settings, settings.target_size or settings.size),
    )


def _fit(texts: Iterable[str], settings: PairVocabularySettings, size: int | None) -> TextCodec:
    seen: Iterable[str] = (
        normalised(text, settings.lowercase, settings.separates) for text in texts
    )
    if settings.unit == "character":
        seen = ["".join(seen)]  # characters are counted much faster in one long text
    tokens = VocabularySettings(
        unit=settings.unit, size=size, min_count=settings.min_count, end_of_sentence=False
    )
    return settings.codec(fit(seen, tokens))
