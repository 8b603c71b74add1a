import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.data import text
from unspool.data.corpus import Corpus
from unspool.data.vocabulary import Vocabulary

LETTERS = Vocabulary.of_tokens("character", ["<unk>", *"abc \n"])
WORDS = Vocabulary.of_tokens("word", ["<unk>", "<eos>", "a", "b"], end_of_sentence=True)


def documents(corpus) -> list[list[int]]:
    return [part.tolist() for part in np.split(corpus.tokens, corpus.starts[1:])]


@given(st.lists(st.text(alphabet="abc \n", max_size=30), min_size=1))
def test_a_corpus_is_its_documents(texts):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(text, "PIECE", 8)
        corpus = Corpus.from_texts(texts, LETTERS)
    kept = [content for content in texts if content]
    assert len(corpus) == sum(map(len, texts)) == sum(corpus.lengths)
    if kept:
        assert [LETTERS.decode(tokens) for tokens in documents(corpus)] == kept


def test_the_last_line_of_a_document_is_a_sentence_too():
    assert documents(Corpus.from_texts(["a b\na", "b\n"], WORDS)) == [[2, 3, 1, 2, 1], [3, 1]]


def test_documents_without_a_token_are_left_out(monkeypatch):
    monkeypatch.setattr(text, "PIECE", 4)
    vocabulary = Vocabulary.of_tokens("word", ["<unk>", "a", "b"])
    corpus = Corpus.from_texts(["", "  ", "     a", "b\n\n     ", "\n"], vocabulary)
    assert documents(corpus) == [[1], [2]]
    assert corpus.starts.tolist() == [0, 1]


def test_the_type_is_the_vocabularys():
    assert Corpus.from_texts(["ab"], LETTERS).tokens.dtype == np.uint8
    assert Corpus.from_texts([], LETTERS).tokens.dtype == np.uint8
    assert len(Corpus.from_texts([], LETTERS)) == 0


def test_the_first_tokens_are_a_corpus():
    corpus = Corpus.from_texts(["abc", "ab"], LETTERS)
    assert documents(corpus.first(4)) == [[1, 2, 3], [1]]
    assert documents(corpus.first(3)) == [[1, 2, 3]]
    assert documents(corpus.first(99)) == [[1, 2, 3], [1, 2]]
