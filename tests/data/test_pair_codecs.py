import pytest

from unspool.data.pair_codecs import PairVocabularySettings, fit_codecs
from unspool.data.pairs import Pairs
from unspool.errors import DataError

PAIRS = Pairs(("A cat.", "a dog."), ("Un chat.", "un chien."))


def tokens(pairs=PAIRS, **settings):
    codecs = fit_codecs(pairs, PairVocabularySettings(**settings))
    return codecs.source.vocabulary.tokens, codecs.target.vocabulary.tokens


def test_each_side_has_a_vocabulary_of_its_own():
    assert tokens() == (
        ("<unk>", "￭.", "A", "a", "cat", "dog"),
        ("<unk>", "￭.", "Un", "chat", "chien", "un"),
    )
    assert tokens(separate_punctuation=False)[0] == ("<unk>", "A", "a", "cat.", "dog.")


def test_lower_case_holds_for_both():
    assert tokens(lowercase=True) == (
        ("<unk>", "a", "￭.", "cat", "dog"),
        ("<unk>", "un", "￭.", "chat", "chien"),
    )


def test_a_joint_vocabulary_is_one_of_both():
    codecs = fit_codecs(PAIRS, PairVocabularySettings(unit="character", joint=True))
    assert codecs.joint
    assert codecs.source is codecs.target
    assert set(codecs.source.vocabulary.tokens) == {"<unk>", *"A cat.a dog.Un chat.un chien."}
    assert not fit_codecs(PAIRS, PairVocabularySettings()).joint


def test_sizes_may_differ():
    source, target = tokens(size=4, target_size=3)
    assert (source, target) == (("<unk>", "￭.", "A", "a"), ("<unk>", "￭.", "Un"))
    assert [len(side) for side in tokens(size=4)] == [4, 4]
    assert tokens(min_count=2)[0] == ("<unk>", "￭.")
    assert [len(side) for side in tokens(unit="bpe", size=260, target_size=258)] == [260, 258]
    assert [len(side) for side in tokens(unit="byte")] == [256, 256]


@pytest.mark.parametrize("unit", ["character", "bpe", "byte"])
def test_only_words_are_parted_from_punctuation(unit):
    settings = PairVocabularySettings(unit=unit, size=300 if unit == "bpe" else None)
    codecs = fit_codecs(PAIRS, settings)
    for codec, texts in zip(codecs, (PAIRS.sources, PAIRS.targets), strict=True):
        assert not codec.separate_punctuation
        assert [codec.decode(codec.encode(text)) for text in texts] == list(texts)


def test_a_codec_is_made_again_from_its_vocabulary():
    settings = PairVocabularySettings(lowercase=True)
    codec = fit_codecs(PAIRS, settings).source
    assert settings.codec(codec.vocabulary) == codec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unit": "bpe"}, "unit 'bpe' needs a size of 256, the bytes, or more; got none"),
        ({"unit": "bpe", "size": 300, "target_size": 99}, "needs a target_size of 256"),
        ({"unit": "byte", "size": 300}, "leave size and min_count out"),
        ({"unit": "byte", "target_size": 300}, "leave target_size out"),
        ({"joint": True, "size": 9, "target_size": 9}, "a joint one has size alone"),
        ({"end_of_sentence": True}, "end_of_sentence"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PairVocabularySettings(**settings)


def test_nothing_to_fit_on_is_refused():
    with pytest.raises(DataError, match="no word occurs 1 times in the training part"):
        fit_codecs(Pairs(("a",), ("",)), PairVocabularySettings())
