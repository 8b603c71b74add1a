"""How close answers are to those of people: BLEU and chrF, as sacrebleu computes them.

Post 2018, arXiv 1804.08771, on why no other program should.
"""

from collections.abc import Sequence
from typing import NamedTuple

from unspool.data.moses import lowercased_tokens

BLEU, CHRF, BLEU_LOWERCASED = "bleu", "chrf", "bleu_lowercased_tokenised"

_LONGEST_RUN = 4  # words that BLEU counts together


class Score(NamedTuple):
    """A figure and how it was computed.

    Parameters
    ----------
    value : float
        From 0 to 100.
    signature : str
        sacrebleu's: case, tokenisation, smoothing, version.
    """

    value: float
    signature: str


def exact_match(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Share of the answers that are the reference, letter for letter."""
    pairs = zip(hypotheses, references, strict=True)
    return sum(ours == theirs for ours, theirs in pairs) / len(references)


def fitting(references: Sequence[str]) -> tuple[str, ...]:
    """The scores that say something, the most telling one first.

    BLEU looks at runs of up to four words, and is 0 by its nature where no reference is so long, as
    with dates and names.
    """
    if any(len(reference.split()) >= _LONGEST_RUN for reference in references):
        return BLEU, BLEU_LOWERCASED, CHRF
    return (CHRF,)


def scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    names: Sequence[str] = (BLEU, BLEU_LOWERCASED, CHRF),
    *,
    language: str | None = None,
) -> dict[str, Score]:
    """Compare texts as people write them, not tokenised, with one reference each.

    ``bleu`` (Papineni et al. 2002) and ``chrf`` (Popović 2015) are those that sacrebleu's own
    command prints if nothing else is asked of it. ``bleu_lowercased_tokenised`` is the variant of
    older papers: BLEU of both in lower case, with punctuation and words as Moses' scripts make
    them, see :mod:`unspool.data.moses`.

    Parameters
    ----------
    hypotheses, references : sequence of str
    names : sequence of str
        Which scores.
    language : str, optional
        Two letters, by which Moses' scripts decide about apostrophes.

    Examples
    --------
    >>> found = scores(["a Cat sat on the mat ."], ["A cat sat on the mat."])
    >>> round(found["bleu"].value, 1), round(found["bleu_lowercased_tokenised"].value, 1)
    (61.5, 100.0)
    """
    from sacrebleu.metrics import bleu, chrf

    found = {}
    for name in names:
        ours, theirs = list(hypotheses), list(references)
        metric: bleu.BLEU | chrf.CHRF = chrf.CHRF() if name == CHRF else bleu.BLEU()
        if name == BLEU_LOWERCASED:
            metric = bleu.BLEU(tokenize="none", force=True)  # they are tokens already
            ours, theirs = (
                [lowercased_tokens(text, language) for text in texts] for texts in (ours, theirs)
            )
        value = metric.corpus_score(ours, [theirs]).score
        signature = str(metric.get_signature())
        if name == BLEU_LOWERCASED:
            signature = _named(signature, language)
        found[name] = Score(float(value), signature)
    return found


def _named(signature: str, language: str | None) -> str:
    """Say in sacrebleu's signature what was done before it saw the texts."""
    tokens = f"tok:moses-normalised-{language or 'any'}"
    return signature.replace("case:mixed", "case:lc").replace("tok:none", tokens)
