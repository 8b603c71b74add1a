import pytest

from unspool.data.pair_codecs import PairCodecs, PairVocabularySettings, fit_codecs
from unspool.data.pairs import Pairs
from unspool.errors import DataError
from unspool.tasks.translate.agreement import require_agreement


def codecs(*targets: str, **settings) -> PairCodecs:
    pairs = Pairs(("one two",) * len(targets), targets)
    return fit_codecs(pairs, PairVocabularySettings(**settings))


def test_equal_vocabularies_agree():
    require_agreement(codecs("un deux un"), codecs("un un", "deux"), "model 2")


@pytest.mark.parametrize(
    ("first", "other", "message"),
    [
        (
            codecs("un"),
            codecs("un", unit="byte"),
            "source .*its unit is 'byte' and that of model 1",
        ),
        (
            codecs("un"),
            codecs("un", lowercase=True),
            "source .*it has lowercase and model 1 has no",
        ),
        (
            codecs("un"),
            codecs("un", separate_punctuation=False),
            "source .*model 1 has separate_punctuation and it has not",
        ),
        (codecs("un"), codecs("un deux"), "target .*it has 3 tokens and model 1 2"),
        (codecs("un"), codecs("il"), "target .*its token 1 is 'il' and that of model 1 'un'"),
        (codecs("un"), codecs("un", joint=True), "source .*it has 4 tokens and model 1 3"),
    ],
)
def test_what_differs_is_told(first, other, message):
    with pytest.raises(DataError, match=f"model 2 has another {message}.*; expected the same"):
        require_agreement(first, other, "model 2")


def test_equal_tokens_may_hide_other_vocabularies(monkeypatch):
    first, other = codecs("ab"), codecs("ab")
    monkeypatch.setattr(type(first.source.vocabulary), "fingerprint", property(id))
    with pytest.raises(DataError, match=r"source .*: it takes words apart otherwise than model 1"):
        require_agreement(first, other, "model 2")
