"""How close translations are to those of people: BLEU and chrF, as sacrebleu computes them.

Post 2018, arXiv 1804.08771, on why no other program should.
"""

from collections.abc import Sequence
from typing import NamedTuple

BLEU, CHRF, BLEU_LOWERCASED = "bleu", "chrf", "bleu_lowercased_tokenised"


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


def scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Score]:
    """Compare texts as people write them, not tokenised, with one reference each.

    ``bleu`` (Papineni et al. 2002) and ``chrf`` (Popović 2015) are those that sacrebleu's own
    command prints if nothing else is asked of it. ``bleu_lowercased_tokenised`` is the variant of
    older papers, which takes both in lower case; the tokens are sacrebleu's (``13a``), while such
    papers had Moses', so that it is near to their figures and not one of them.

    Examples
    --------
    >>> found = scores(["a Cat sat on the mat ."], ["A cat sat on the mat."])
    >>> round(found["bleu"].value, 1), round(found["bleu_lowercased_tokenised"].value, 1)
    (61.5, 100.0)
    """
    from sacrebleu.metrics import bleu, chrf

    metrics = {BLEU: bleu.BLEU(), CHRF: chrf.CHRF(), BLEU_LOWERCASED: bleu.BLEU(lowercase=True)}
    found = {}
    for name, metric in metrics.items():
        value = metric.corpus_score(list(hypotheses), [list(references)]).score
        found[name] = Score(float(value), str(metric.get_signature()))
    return found
