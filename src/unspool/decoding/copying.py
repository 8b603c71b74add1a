"""Words that the vocabulary lacks, copied from the source.

Shapes: ``T`` words of an answer, ``S`` positions of the source.
"""

from collections.abc import Sequence

from torch import Tensor

from unspool.errors import DataError


def copy_unknown(
    words: Sequence[str], attention: Tensor, source: Sequence[str], unknown: str
) -> list[str]:
    """Put the source's word with the most attention in the place of each unknown one.

    Jean et al. 2015, arXiv 1412.2007, section 3.3, without their dictionary: names and numbers,
    which most unknown words are, often stay the same.

    Parameters
    ----------
    words : sequence of T str
        The answer.
    attention : (T, S) tensor
        Which each word paid to each position of the source; the first of equal ones counts.
    source : sequence of S str
        In the order in which the network read it.
    unknown : str
        What stands for a word that the vocabulary lacks.

    Raises
    ------
    DataError
        If the shapes do not fit each other.

    Examples
    --------
    >>> import torch
    >>> attention = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    >>> copy_unknown(["guten", "<unk>"], attention, ["hello", "Ms. Unwin"], "<unk>")
    ['guten', 'Ms. Unwin']
    """
    expected = (len(words), len(source))
    if tuple(attention.shape) != expected:
        raise DataError(
            f"attention has shape {tuple(attention.shape)}, expected {expected}: a row for each "
            "word, and in it a number for each position of the source"
        )
    if not source:
        return list(words)
    most = attention.argmax(1).tolist()
    return [source[i] if word == unknown else word for word, i in zip(words, most, strict=True)]
