"""Makes a vocabulary of the tokens that occur in a text."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from tokenizers.trainers import BpeTrainer

from unspool.data.tokenizer_format import END_OF_SENTENCE, UNKNOWN, assemble, byte_tokens
from unspool.data.vocabulary import Vocabulary, VocabularySettings, lines_of
from unspool.errors import DataError

MOST_WORDS = 5_000_000
"""Distinct words that are counted at a time; beyond, the rarest so far are forgotten."""


def fit(texts: Iterable[str], settings: VocabularySettings) -> Vocabulary:
    r"""Make the vocabulary of a text, which is to be the training part alone.

    Words and characters are numbered by their frequency, most frequent first, and equally frequent
    ones by their spelling; ``<unk>`` and ``<eos>`` come before them.

    Parameters
    ----------
    texts : iterable of str
        The text in parts that end with a line or between two words.
    settings : VocabularySettings

    Raises
    ------
    DataError
        If no token occurs often enough.

    Examples
    --------
    >>> fit(["the cat and the mice\n"], VocabularySettings(size=4)).tokens
    ('<unk>', '<eos>', 'the', 'and')
    """
    match settings.unit:
        case "byte":
            return Vocabulary.of_tokens("byte", byte_tokens())
        case "bpe":
            return _merged(texts, settings)
        case "character":
            special, counts = [UNKNOWN], _count_characters(texts)
        case "word":
            special = [UNKNOWN, END_OF_SENTENCE] if settings.end_of_sentence else [UNKNOWN]
            counts = _count_words(texts)
    often = [token for token, count in counts.items() if count >= settings.min_count]
    known = sorted(set(often).difference(special), key=lambda token: (-counts[token], token))
    if not known:
        raise DataError(
            f"no {settings.unit} occurs {settings.min_count} times in the training part, expected "
            "some that do; lower vocabulary.min_count or add text"
        )
    tokens = [*special, *known][: settings.size]
    return Vocabulary.of_tokens(settings.unit, tokens, end_of_sentence=END_OF_SENTENCE in special)


def _count_words(texts: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.split())
        rare = 0
        while len(counts) > MOST_WORDS:
            rare += 1
            counts = Counter({word: count for word, count in counts.items() if count > rare})
    return counts


def _count_characters(texts: Iterable[str]) -> Counter[str]:
    totals = np.zeros(0x110000, np.int64)
    for text in texts:
        codes, counts = np.unique(
            np.frombuffer(text.encode("utf-32-le"), np.uint32), return_counts=True
        )
        totals[codes] += counts
    return Counter({chr(code): int(totals[code]) for code in np.flatnonzero(totals)})


def _merged(texts: Iterable[str], settings: VocabularySettings) -> Vocabulary:
    """Learn byte-pair merges (Sennrich et al. 2016, arXiv 1508.07909)."""
    assert settings.size is not None
    tokenizer = assemble("bpe", {token: byte for byte, token in enumerate(byte_tokens())})
    trainer = BpeTrainer(
        vocab_size=settings.size,
        min_frequency=settings.min_count,
        initial_alphabet=byte_tokens(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_lines(texts), trainer)
    return Vocabulary("bpe", tokenizer)


def _lines(texts: Iterable[str]) -> Iterator[list[str]]:
    for text in texts:
        yield lines_of(text)
