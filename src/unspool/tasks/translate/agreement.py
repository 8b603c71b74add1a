"""Whether two networks read and write the same tokens, so that they can speak with one voice."""

from unspool.data.pair_codecs import PairCodecs
from unspool.data.text_codec import TextCodec
from unspool.errors import DataError


def require_agreement(ours: PairCodecs, theirs: PairCodecs, name: str) -> None:
    """Compare the vocabularies of an ensemble's first network with those of another.

    Raises
    ------
    DataError
        If they differ; it says which, and in what.
    """
    for side, first, other in zip(("source", "target"), ours, theirs, strict=True):
        difference = _difference(first, other)
        if difference is not None:
            raise DataError(
                f"{name} has another {side} vocabulary than model 1: {difference}; expected the "
                "same, train all on the same data with the same data.vocabulary"
            )


def _difference(first: TextCodec, other: TextCodec) -> str | None:
    """Say in what the vocabularies differ, the plainest difference first; None for equal ones."""
    ours, theirs = first.vocabulary, other.vocabulary
    if ours.unit != theirs.unit:
        return f"its unit is {theirs.unit!r} and that of model 1 {ours.unit!r}"
    for change in ("lowercase", "separate_punctuation"):
        if getattr(first, change) != getattr(other, change):
            has, has_not = ("it", "model 1") if getattr(other, change) else ("model 1", "it")
            return f"{has} has {change} and {has_not} has not"
    if len(ours) != len(theirs):
        return f"it has {len(theirs):,} tokens and model 1 {len(ours):,}"
    for number, (token, instead) in enumerate(zip(ours.tokens, theirs.tokens, strict=True)):
        if token != instead:
            return f"its token {number} is {instead!r} and that of model 1 {token!r}"
    if ours.fingerprint != theirs.fingerprint:
        return "it takes words apart otherwise than model 1"
    return None
