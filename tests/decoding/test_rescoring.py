import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.decoding.beam import beam_search
from unspool.decoding.rescoring import rerank, rescore
from unspool.decoding.settings import BeamSettings
from unspool.errors import DataError

answers_of_some = st.lists(
    st.lists(st.lists(st.integers(0, 4), max_size=5), max_size=4), max_size=4
)


@given(answers=answers_of_some, seed=st.integers(0, 10**6))
def test_answers_are_as_probable_as_the_network_says(toy, answers, seed):
    network = toy(5, seed)
    count = len(answers)
    found = rescore(
        network.step, network.state(range(count)), torch.zeros(count, dtype=torch.int64), answers
    )
    for sentence, (own, log_probabilities) in enumerate(zip(answers, found, strict=True)):
        assert log_probabilities == [
            sum(
                network.told(sentence, [0, *answer[:i]])[0][token] for i, token in enumerate(answer)
            )
            for answer in own
        ]


def test_nothing_is_computed_for_sentences_that_have_been_read(toy):
    network = toy(5)
    answers = [[[1, 2, 3]], [], [[1], [2]], [[], [], [1, 2]]]
    rescore(network.step, network.state(range(4)), torch.zeros(4).long(), answers)
    assert network.calls == [3, 2 * 3, 3]  # the first step is the same for all answers


def test_an_empty_answer_is_certain(toy):
    network = toy(5)
    found = rescore(network.step, network.state([0]), torch.zeros(1).long(), [[[]]])
    assert found == [[0.0]]
    assert network.calls == []


def test_a_search_finds_what_rescoring_confirms(toy):
    network, start = toy(6, 3), torch.zeros(9, dtype=torch.int64)
    settings = BeamSettings(beam=4, n_best=4, max_length=5)
    found = beam_search(network.step, network.state(range(9)), start, 5, settings)
    assert {one.finished for one in itertools.chain(*found)} == {True, False}
    assert rerank(network.step, network.state(range(9)), start, 5, found, weight=0.0) == found
    again = rerank(network.step, network.state(range(9)), start, 5, found)
    for before, after in zip(found, again, strict=True):
        assert all(one.score == one.log_probability for one in after)
        assert sorted(one.tokens for one in before) == sorted(one.tokens for one in after)


def test_another_network_brings_another_order(toy):
    network, other, start = toy(6, 3), toy(6, 4), torch.zeros(1, dtype=torch.int64)
    settings = BeamSettings(beam=5, n_best=5, length_penalty=1.0, max_length=8)
    (found,) = beam_search(network.step, network.state([0]), start, 5, settings)
    (after,) = rerank(
        other.step, other.state([0]), start, 5, [found], weight=0.25, length_penalty=1.0
    )

    def score(one):
        tokens = (*one.tokens, 5) if one.finished else one.tokens
        ((log_probability,),) = rescore(other.step, other.state([0]), start, [[tokens]])
        return 0.75 * one.score + 0.25 * log_probability / ((5 + len(tokens)) / 6)

    assert all(one.finished for one in found)
    expected = sorted((replace(one, score=score(one)) for one in found), key=lambda one: -one.score)
    assert after == expected
    assert [one.tokens for one in after] != [one.tokens for one in found]


def test_as_many_lists_as_sentences_are_needed(toy):
    network = toy(5)
    with pytest.raises(DataError, match=r"answers of 1 sentences .* first tokens of 2"):
        rescore(network.step, network.state([0, 1]), torch.zeros(2).long(), [[[1]]])
