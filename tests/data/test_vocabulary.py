import json
import os
import subprocess
import sys
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers, trainers
from tokenizers.models import WordLevel

from unspool.data import vocabulary_fitting
from unspool.data.vocabulary import Vocabulary, VocabularySettings, lines_of
from unspool.data.vocabulary_fitting import fit
from unspool.errors import DataError

CATS = "the cat and the mice\nthe mice hide\n"
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def fitted(unit="word", *, text=CATS, **settings) -> Vocabulary:
    return fit([text], VocabularySettings(unit=unit, **settings))


BPE = fitted("bpe", text=CATS * 5, size=270)
BYTES = fitted("byte")
LETTERS = fitted("character")


# --- words -------------------------------------------------------------------------------------


def test_words_are_numbered_by_frequency_after_the_special_tokens():
    vocabulary = fitted()
    assert vocabulary.tokens == ("<unk>", "<eos>", "the", "mice", "and", "cat", "hide")
    assert (vocabulary.unknown, vocabulary.end_of_sentence, vocabulary.start) == (0, 1, 1)
    assert vocabulary.encode(CATS).tolist() == [2, 5, 4, 2, 3, 1, 2, 3, 6, 1]


def test_the_size_counts_the_special_tokens():
    assert fitted(size=4).tokens == ("<unk>", "<eos>", "the", "mice")
    assert fitted(size=4, end_of_sentence=False).tokens == ("<unk>", "the", "mice", "and")


def test_a_size_beyond_the_text_is_that_of_the_text():
    assert len(fitted(size=10_000)) == len(fitted()) == 7


def test_rare_words_are_unknown():
    vocabulary = fitted(min_count=2)
    assert vocabulary.tokens == ("<unk>", "<eos>", "the", "mice")
    assert vocabulary.decode(vocabulary.encode("the cat")) == "the <unk>"


def test_no_word_that_is_frequent_enough_is_refused():
    with pytest.raises(DataError, match="no word occurs 9 times in the training part, expected"):
        fitted(min_count=9)


def test_the_texts_own_unknown_and_end_are_the_special_tokens():
    vocabulary = fitted(text="a <unk> b <unk> <eos>\n")
    assert vocabulary.tokens == ("<unk>", "<eos>", "a", "b")
    assert vocabulary.encode("<unk> a nothing <eos>").tolist() == [0, 2, 0, 1]


def test_each_line_ends_a_sentence_and_an_open_one_does_not():
    vocabulary = fitted()
    assert vocabulary.encode("the\n\nthe").tolist() == [2, 1, 1, 2]
    assert vocabulary.encode("").tolist() == vocabulary.encode("  ").tolist() == []


def test_without_ends_of_sentences_a_line_end_is_a_space():
    vocabulary = fitted(end_of_sentence=False)
    assert vocabulary.end_of_sentence is None
    assert vocabulary.start == vocabulary.unknown == 0
    assert vocabulary.decode(vocabulary.encode(CATS)) == "the cat and the mice the mice hide"


@given(lines=st.lists(st.lists(st.sampled_from(["the", "cat", "mice"]), max_size=5)))
def test_words_come_back(lines):
    text = "\n".join(" ".join(line) for line in lines)
    vocabulary = fitted()
    assert vocabulary.decode(vocabulary.encode(text)) == text


@given(text=ANY_TEXT)
def test_the_table_of_words_gives_what_the_library_gives(text):
    vocabulary = fitted(text=f"{CATS}{text}", min_count=1)
    twin = Tokenizer.from_str(vocabulary.to_json())
    ids = [twin.encode(line, add_special_tokens=line.endswith("\n")).ids for line in lines_of(text)]
    assert vocabulary.encode(text).tolist() == list(chain.from_iterable(ids))


def test_the_numbering_is_that_of_the_librarys_trainer():
    text = "b a b c a d d e f f f"
    twin = Tokenizer(WordLevel())
    twin.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    twin.train_from_iterator([text], trainers.WordLevelTrainer(show_progress=False))
    vocabulary = fitted(text=text, end_of_sentence=False)
    numbers = twin.get_vocab()
    assert list(vocabulary.tokens[1:]) == sorted(numbers, key=numbers.__getitem__)


def test_the_rarest_words_are_forgotten_before_memory_runs_out(monkeypatch):
    monkeypatch.setattr(vocabulary_fitting, "MOST_WORDS", 5)
    texts = ["often often more more"] + [f"rare{n} often" for n in range(20)]
    vocabulary = fit(texts, VocabularySettings(size=3))
    assert vocabulary.tokens == ("<unk>", "<eos>", "often")


# --- characters, bytes and pieces of words -----------------------------------------------------


@pytest.mark.parametrize("vocabulary", [BYTES, BPE], ids=["byte", "bpe"])
@given(text=ANY_TEXT)
def test_bytes_and_pieces_of_words_lose_nothing(vocabulary, text):
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.unknown is None


@given(text=ANY_TEXT)
def test_characters_lose_nothing_that_was_seen(text):
    vocabulary = fitted("character", text=f"x{text}")
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert len(vocabulary) == 1 + len({"x", *text})


@given(text=ANY_TEXT)
@pytest.mark.parametrize("vocabulary", [LETTERS, BYTES, BPE], ids=["character", "byte", "bpe"])
def test_tables_give_what_the_library_gives(vocabulary, text):
    twin = Tokenizer.from_str(vocabulary.to_json())
    ids = [twin.encode(line).ids for line in lines_of(text)]
    assert vocabulary.encode(text).tolist() == list(chain.from_iterable(ids))


def test_an_unseen_character_is_unknown():
    assert LETTERS.encode("t?é").tolist() == [LETTERS.encode("t")[0], 0, 0]
    assert LETTERS.decode([0]) == "<unk>"


def test_a_byte_is_its_own_number():
    assert BYTES.encode("aé\n").tolist() == [97, 0xC3, 0xA9, 10]
    assert BYTES.start == 10
    assert BYTES.decode([0xC3]) == "\ufffd"


def test_bpe_merges_what_is_frequent_within_its_size():
    assert len(BPE) == 270
    assert len(BPE.encode("the mice")) < len("the mice")
    assert len(fitted("bpe", size=9999)) < 300  # a text with fewer pairs gives fewer


def test_bpe_is_learned_in_the_same_way_every_time():
    once, again = (fitted("bpe", text=CATS * 5, size=300).to_json() for _ in range(2))
    assert once == again


def test_the_start_is_the_end_of_a_line_or_unknown():
    assert LETTERS.decode([LETTERS.start]) == "\n"
    assert BPE.decode([BPE.start]) == "\n"
    assert fitted("character", text="abc").start == 0


@pytest.mark.parametrize(
    ("size", "dtype"), [(256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.uint32)]
)
def test_numbers_take_the_smallest_type(size, dtype):
    vocabulary = Vocabulary.of_tokens("word", ["<unk>", *(f"w{n}" for n in range(size - 1))])
    assert vocabulary.dtype == dtype
    assert vocabulary.encode(f"w{size - 2}").dtype == dtype
    assert vocabulary.encode(f"w{size - 2}").tolist() == [size - 1]


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("vocabulary", [fitted(), LETTERS, BYTES, BPE])
def test_half_a_surrogate_pair_is_refused(vocabulary):
    with pytest.raises(DataError, match=r"half of a surrogate pair, '\\ud800', at character 2"):
        vocabulary.encode("ab\ud800")


@pytest.mark.parametrize("number", [-1, 7])
def test_a_number_without_a_token_is_refused(number):
    with pytest.raises(DataError, match=f"token {number} is not in the vocabulary, 0 to 6"):
        fitted().decode([0, number])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unit": "byte", "size": 300}, "unit 'byte' has 256 tokens always; leave size"),
        ({"unit": "bpe"}, "unit 'bpe' needs a size of 256, the bytes, or more; got none"),
        ({"unit": "bpe", "size": 255}, "or more; got 255"),
        ({"size": 2}, "size"),
        ({"min_count": 0}, "min_count"),
        ({"unit": "letter"}, "unit"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        VocabularySettings(**settings)


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vocabulary", [fitted(), fitted(end_of_sentence=False), LETTERS, BYTES, BPE]
)
def test_a_vocabulary_is_saved_and_loaded(tmp_path, vocabulary):
    path = tmp_path / "vocabulary.json"
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert loaded.fingerprint == vocabulary.fingerprint
    assert loaded.unit == vocabulary.unit
    assert loaded.end_of_sentence == vocabulary.end_of_sentence
    assert loaded.encode(CATS).tolist() == vocabulary.encode(CATS).tolist()
    assert Tokenizer.from_file(str(path)).get_vocab_size() == len(vocabulary)


def test_the_library_ends_sentences_in_the_same_way(tmp_path):
    fitted().save(tmp_path / "v.json")
    assert Tokenizer.from_file(str(tmp_path / "v.json")).encode("the cat").ids == [2, 5, 1]


def changed(vocabulary, **changes) -> str:
    """A vocabulary's file with some keys of the model, or of the whole, replaced."""
    content = json.loads(vocabulary.to_json())
    for key, value in changes.items():
        (content["model"] if key in content["model"] else content)[key] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a vocabulary as JSON"),
        ("[" * 100_000, "expected a vocabulary as JSON"),
        ("[]", "no object with a model"),
        ("{}", "no object with a model"),
        (changed(BPE, type="Unigram"), "a model of type 'Unigram'"),
        (changed(LETTERS, vocab={}), "no tokens"),
        (changed(LETTERS, vocab=["a"]), "no tokens"),
        (changed(LETTERS, vocab={"<unk>": 0, "a": 2}), "not numbered from 0 to 1"),
        (changed(LETTERS, vocab={"<unk>": 0, "a": 0}), "not numbered from 0 to 1"),
        (changed(LETTERS, vocab={"<unk>": 0, "a": True}), "not numbered from 0 to 1"),
        (changed(LETTERS, vocab={"<unk>": 0, "a": "1"}), "not numbered from 0 to 1"),
        (changed(LETTERS, vocab={"a": 0}), "no token <unk>"),
        (changed(LETTERS, vocab={"<unk>": 0, "ab": 1}), "tokens of several characters"),
        (changed(LETTERS, vocab={"<unk>": 0, "\ud800": 1}), "half of a surrogate pair"),
        (changed(fitted(), vocab={"<unk>": 0, "the": 1}), "no token <eos>"),
        (changed(BYTES, vocab={"a": 0}), "other tokens than the 256 bytes"),
        (changed(BPE, vocab={"a": 0}), "not all of the 256 bytes"),
        (changed(BPE, merges=["t h"]), "the merge 't h', no two tokens"),
        (changed(BPE, merges=[["t", "?!"]]), r"the merge \['t', '\?!'\], no two tokens"),
        (changed(BPE, merges=[["q", "q"]]), "the merge .*, which makes no token"),
        (changed(BPE, merges=7), "merges where there are none"),
        (changed(LETTERS, merges=[["t", "h"]]), "merges where there are none"),
        (changed(BPE, dropout=0.5), "dropout = 0.5"),
        (changed(BPE, normalizer={"type": "Lowercase"}), "normalizer = .*Lowercase"),
        (changed(BPE, added_tokens=[{"id": 0}]), "added_tokens = "),
        (changed(BPE, truncation={"max_length": 3}), "truncation = "),
        (changed(BPE, decoder=None), "decoder = null"),
        (
            changed(BYTES, pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}}),
            "pre_tokenizer = .*Regex",
        ),
        (changed(BPE, post_processor={"type": "BertProcessing"}), "post_processor = "),
    ],
)
def test_a_file_that_is_no_vocabulary_of_ours_is_refused(write, content, message):
    path = write("v.json", content)
    with pytest.raises(DataError, match=message) as caught:
        Vocabulary.load(path)
    assert str(caught.value).startswith(str(path))


def test_a_key_that_another_version_does_not_write_is_not_missed(write):
    content = json.loads(BPE.to_json())
    del content["model"]["ignore_merges"], content["model"]["byte_fallback"]
    assert Vocabulary.load(write("v.json", json.dumps(content))).fingerprint == BPE.fingerprint


def test_a_file_beyond_measure_is_refused(write, monkeypatch):
    monkeypatch.setattr("unspool.data.tokenizer_format.MAX_BYTES", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        Vocabulary.load(write("v.json", BPE.to_json()))


# --- processes ---------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_encodes_without_a_warning():
    program = f"""
import os
from unspool.data.vocabulary import VocabularySettings
from unspool.data.vocabulary_fitting import fit
vocabulary = fit([{CATS!r} * 99], VocabularySettings(unit="bpe", size=300))
vocabulary.encode({CATS!r} * 99)
if child := os.fork():
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
vocabulary.encode({CATS!r} * 99)
os._exit(0)
"""
    environment = {key: value for key, value in os.environ.items() if "TOKENIZERS" not in key}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment, timeout=60
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
