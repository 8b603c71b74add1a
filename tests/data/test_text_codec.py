import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.text_codec import BEGIN, END, PADDING, SPECIALS, TextCodec
from unspool.data.vocabulary import Vocabulary, VocabularySettings
from unspool.data.vocabulary_fitting import fit
from unspool.errors import DataError

TEXTS = ["A dog, a CAT!", "l'été à Zürich\nend", "犬は好き。"]


def codec(unit: str, texts=TEXTS, **options) -> TextCodec:
    size = 300 if unit == "bpe" else None
    settings = VocabularySettings(unit=unit, size=size, end_of_sentence=False)
    return TextCodec(fit(texts, settings), **options)


@pytest.mark.parametrize("unit", ["character", "byte", "bpe"])
def test_a_text_comes_back_as_it_was(unit):
    letters = codec(unit)
    for text in TEXTS:
        assert letters.decode(letters.encode(text)) == text


@given(st.text())
def test_bytes_and_byte_pairs_lose_nothing(text):
    for unit in ("byte", "bpe"):
        letters = CODECS[unit]
        assert letters.decode(letters.encode(text)) == text
        assert letters.decode([BEGIN, *letters.encode(text), END, 7, PADDING]) == text


CODECS = {unit: codec(unit) for unit in ("byte", "bpe")}


def test_the_vocabularys_numbers_are_moved_on_by_the_special_tokens():
    words = TextCodec(Vocabulary.of_tokens("word", ["<unk>", "a", "b"]))
    assert (len(words), words.unknown, SPECIALS) == (6, 3, 3)
    encoded = words.encode("b a z")
    assert encoded.tolist() == [5, 4, 3]
    assert encoded.dtype == np.int32
    assert words.encode("").tolist() == []
    assert CODECS["bpe"].unknown is None
    assert len(CODECS["byte"]) == 259
    assert CODECS["byte"].encode("\xff").tolist() == [0xC3 + 3, 0xBF + 3]


def test_decoding_ends_at_the_end_and_passes_over_what_is_no_text():
    words = TextCodec(Vocabulary.of_tokens("word", ["<unk>", "a", "b"]))
    assert words.decode([BEGIN, 5, PADDING, 4, 3, END, 5]) == "b a <unk>"
    assert words.decode([END, 5]) == ""
    assert words.decode([]) == ""
    with pytest.raises(DataError, match="token 3 is not in the vocabulary, 0 to 2"):
        words.decode([6])


def test_words_are_parted_from_punctuation_and_come_together_again():
    words = codec("word", ["a dog ￭, a cat ￭!"], separate_punctuation=True)
    assert words.pieces("a  dog,\ta cat!") == ["a", "dog", "￭,", "a", "cat", "￭!"]
    assert words.decode(words.encode("a  dog,\ta cat!")) == "a dog, a cat!"
    assert codec("word").pieces("a dog, a cat!") == ["a", "dog,", "a", "cat!"]


def test_lower_case_is_read_and_written():
    letters = codec("character", ["a dog, a cat!"], lowercase=True)
    assert letters.decode(letters.encode("A DOG")) == "a dog"
    assert letters.pieces("Do") == ["d", "o"]


@pytest.mark.parametrize("unit", ["word", "character", "byte", "bpe"])
def test_there_is_a_piece_for_each_number(unit):
    letters = codec(unit, separate_punctuation=unit == "word")
    for text in [*TEXTS, "neu: 猫"]:
        assert len(letters.pieces(text)) == len(letters.encode(text))


def test_pieces_of_the_source_can_stand_for_unknown_tokens():
    words = codec("word", ["a dog ￭, a cat ￭!"], separate_punctuation=True)
    source = "Bello, a dog!"
    numbers = words.encode(source)
    unknown = np.flatnonzero(numbers == words.unknown)
    assert words.decode(numbers) == "<unk>, a dog!"
    copied = {int(place): words.pieces(source)[place] for place in unknown}
    assert words.decode([BEGIN, *numbers], {place + 1: copied[place] for place in copied}) == source
    letters = TextCodec(Vocabulary.of_tokens("character", ["<unk>", "a"]))
    assert letters.decode(letters.encode("aba"), {1: "b"}) == "aba"


def test_a_vocabulary_with_ends_of_lines_is_refused():
    with pytest.raises(DataError, match="<eos>"):
        TextCodec(fit(["a\n"], VocabularySettings()))


def test_half_a_character_is_refused():
    with pytest.raises(DataError, match="surrogate"):
        CODECS["byte"].encode("\ud800")
