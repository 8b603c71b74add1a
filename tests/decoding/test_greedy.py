import math

import pytest
import torch

from unspool.decoding.greedy import ancestral_sampling, greedy
from unspool.decoding.sampling import SamplingSettings, random_streams
from unspool.decoding.settings import BeamSettings

END = 4


def starts(count):
    return torch.zeros(count, dtype=torch.int64)


def followed(network, sentence, settings, never=()):
    """Greedy search of one sentence, in lists."""
    tokens, total = [], 0.0
    for length in range(1, settings.max_length + 1):
        values = network.told(sentence, [0, *tokens])[0]
        allowed = [
            value if token not in never and (token != END or length >= settings.min_length) else -99
            for token, value in enumerate(values)
        ]
        token = max(range(len(values)), key=lambda token: allowed[token])  # the first of equals
        total += values[token]
        if token == END:
            return tuple(tokens), total, True
        tokens.append(token)
    return tuple(tokens), total, False


@pytest.mark.parametrize("seed", range(5))
def test_the_most_probable_token_is_taken_always(toy, seed):
    network = toy(5, seed)
    settings = BeamSettings(min_length=3, max_length=12, length_penalty=1.0)
    found = greedy(network.step, network.state(range(9)), starts(9), END, settings, never=[1])
    for sentence, one in enumerate(found):
        tokens, total, finished = followed(network, sentence, settings, never=[1])
        assert (one.tokens, one.log_probability, one.finished) == (tokens, total, finished)
        divisor = (5 + len(tokens) + finished) / 6
        assert one.score == pytest.approx(total / divisor)


def test_no_step_is_computed_for_a_sentence_that_is_done(toy):
    network = toy(5, 3)
    found = greedy(network.step, network.state(range(9)), starts(9), END, BeamSettings())
    lengths = [len(one.tokens) + 1 for one in found]
    assert len(set(lengths)) > 2
    assert network.calls == [
        sum(length > step for length in lengths) for step in range(max(lengths))
    ]


def test_attention_is_kept_where_the_network_tells_it(toy):
    network = toy(5, 3)
    found = greedy(
        network.step,
        network.state(range(9)),
        starts(9),
        END,
        BeamSettings(),
        attention=network.attention,
    )
    for sentence, one in enumerate(found):
        for i, row in enumerate(one.attention):
            looks = network.told(sentence, [0, *one.tokens[:i]])[1]
            assert torch.equal(row, torch.tensor(looks))
        assert len(one.attention) == len(one.tokens)


# --- drawn ---------------------------------------------------------------------------------


def drawn(network, sentences, seed=0, never=(), settings=None, **sampling):
    streams = random_streams(seed, max(sentences) + 1)
    return ancestral_sampling(
        network.step,
        network.state(sentences),
        starts(len(sentences)),
        END,
        settings or BeamSettings(max_length=10),
        SamplingSettings(**sampling),
        [streams[sentence] for sentence in sentences],
        never=never,
    )


def test_what_is_drawn_depends_on_its_own_stream_alone(toy):
    network = toy(5, 1)
    together = drawn(network, range(12))
    assert [one for sentence in range(12) for one in drawn(network, [sentence])] == together
    assert drawn(network, [7, 3]) == [together[7], together[3]]
    assert drawn(network, range(12), seed=1) != together


def test_a_temperature_of_zero_is_greedy(toy):
    network, settings = toy(5, 2), BeamSettings(max_length=10, min_length=2)
    found = greedy(network.step, network.state(range(12)), starts(12), END, settings)
    assert drawn(network, range(12), settings=settings, temperature=0.0) == found


def test_log_probabilities_are_the_networks(toy):
    network = toy(5, 2)
    for sentence, one in enumerate(drawn(network, range(12), temperature=3.0, top_k=3)):
        tokens = (*one.tokens, END) if one.finished else one.tokens
        values = [
            network.told(sentence, [0, *tokens[:i]])[0][token] for i, token in enumerate(tokens)
        ]
        assert one.log_probability == sum(values)


def test_answers_come_as_often_as_they_are_probable():
    logs = torch.tensor([[0.0, 0.3, 0.7], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]).log()

    class Nothing:
        def select(self, rows):
            return self

    count = 3000
    found = ancestral_sampling(
        lambda tokens, state: (logs[tokens], state),
        Nothing(),
        starts(count),
        2,
        BeamSettings(),
        SamplingSettings(),
        random_streams(3, count),
    )
    for tokens, probability in {(): 0.7, (1,): 0.15, (1, 1): 0.075}.items():
        same = [one for one in found if one.tokens == tokens]
        assert len(same) / count == pytest.approx(probability, abs=0.03)
        assert math.exp(same[0].log_probability) == pytest.approx(probability, rel=1e-6)


def test_what_has_occurred_gets_less_likely(toy):
    network = toy(5, 4)

    def repeats(penalty):
        found = drawn(network, range(40), repetition_penalty=penalty)
        return sum(len(one.tokens) - len(set(one.tokens)) for one in found)

    assert repeats(4.0) < 0.8 * repeats(1.0)


def test_what_may_not_come_is_not_drawn(toy):
    network = toy(5, 5, impossible=0.4)
    settings = BeamSettings(no_repeat_ngram=1, max_length=9)
    found = drawn(network, range(40), settings=settings, never=[2])
    for one in found:
        assert 2 not in one.tokens
        assert len(set(one.tokens)) == len(one.tokens)
        assert one.log_probability > -math.inf
    assert any(not one.finished for one in found)  # where nothing was possible
