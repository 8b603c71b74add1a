import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.decoding.beam import beam_search
from unspool.decoding.greedy import greedy
from unspool.decoding.settings import BeamSettings
from unspool.errors import DataError

START = 0


class Nothing:
    """The state of a network that remembers nothing."""

    def select(self, rows):
        return self


def chain(table):
    """A network whose next token depends on the last one alone, by probabilities."""
    logs = torch.tensor(table, dtype=torch.float64).log()
    return lambda tokens, state: (logs[tokens], state)


def search(step, end, state=None, batch=1, **settings):
    start = torch.zeros(batch, dtype=torch.int64)
    return beam_search(step, state or Nothing(), start, end, BeamSettings(**settings))


# --- the same in plain Python --------------------------------------------------------------


def plainly(toy, sentence, end, settings, source_length, never):
    """Beam search of one sentence in lists, which stops at nothing but what it was told."""
    limit = settings.max_length
    if settings.max_length_factor is not None:
        limit = int(source_length * settings.max_length_factor) + settings.max_length_constant
        limit = min(max(limit, settings.min_length), settings.max_length)
    enough = 1 if settings.beam == 1 else math.ceil(settings.beam * (settings.patience or 10**6))

    def score(total, attention):
        seen = [sum(column) for column in zip(*attention, strict=True)][:source_length]
        coverage = sum(math.log(min(each, 1)) for each in seen)
        divisor = ((5 + len(attention)) / 6) ** settings.length_penalty
        return total / divisor + settings.coverage_penalty * coverage

    def allowed(tokens, token):
        n, sequence = settings.no_repeat_ngram, [*tokens, token]
        if token in never or (token == end and len(sequence) < settings.min_length):
            return False
        if n is None or token == end:
            return True
        ngrams = [sequence[i : i + n] for i in range(len(sequence) - n + 1)]
        return sequence[-n:] not in ngrams[:-1]

    pursued, finished, cut = [(0.0, [], [])], [], []  # log-probability, tokens, attention
    for length in range(1, limit + 1):
        told = [toy.told(sentence, [START, *tokens]) for _, tokens, _ in pursued]
        pursued = [
            (total, tokens, [*attention, looks])
            for (total, tokens, attention), (_, looks) in zip(pursued, told, strict=True)
        ]
        candidates = sorted(
            (-(pursued[place][0] + value), place, token)
            for place, (values, _) in enumerate(told)
            for token, value in enumerate(values)
            if value > -math.inf and allowed(pursued[place][1], token)
        )
        for negative, place, token in candidates[: settings.beam]:
            _, tokens, attention = pursued[place]
            entry = (score(-negative, attention), -negative)
            if token == end:
                finished.append((*entry, tokens, True, attention))
            elif length == limit:
                cut.append((*entry, [*tokens, token], False, attention))
        following = [
            (-negative, [*pursued[place][1], token], pursued[place][2])
            for negative, place, token in candidates
            if token != end
        ][: settings.beam]
        if not following and not finished and not cut:
            cut = [
                (score(total, attention), total, tokens, False, attention)
                for total, tokens, attention in pursued
            ]
        if not following or len(finished) >= enough:
            break
        pursued = following
    finished.sort(key=lambda entry: -entry[0])
    cut.sort(key=lambda entry: -entry[0])
    return [*finished, *cut][: settings.n_best]


@st.composite
def problems(draw):
    """A network, sentences, and settings of any kind."""
    beam = draw(st.integers(1, 6))
    max_length = draw(st.integers(1, 9))
    factor = draw(st.none() | st.sampled_from([0.5, 1.0, 1.7]))
    settings = BeamSettings(
        beam=beam,
        n_best=draw(st.integers(1, beam)),
        length_penalty=draw(st.sampled_from([0.0, 0.6, 1.0, 2.0])),
        coverage_penalty=draw(st.sampled_from([0.0, 0.0, 0.4])),
        no_repeat_ngram=draw(st.none() | st.integers(1, 3)),
        min_length=draw(st.integers(1, max_length)),
        max_length=max_length,
        max_length_factor=factor,
        max_length_constant=draw(st.integers(0, 3)) if factor else 0,
        patience=draw(st.sampled_from([None, None, 0.5, 1.0, 2.0])),
    )
    vocabulary = draw(st.integers(1, 6))
    return {
        "seed": draw(st.integers(0, 10**6)),
        "vocabulary": vocabulary,
        "impossible": draw(st.sampled_from([0.0, 0.0, 0.3, 0.8])),
        "end": draw(st.integers(0, vocabulary - 1)),
        "never": draw(st.lists(st.integers(0, vocabulary - 1), max_size=1)),
        "sentences": draw(st.lists(st.integers(0, 40), max_size=4, unique=True)),
        "lengths": draw(st.lists(st.integers(1, 4), min_size=4, max_size=4)),
        "settings": settings,
    }


@given(problems())
def test_every_hypothesis_is_what_a_plain_search_finds(toy, problem):
    settings, sentences, end = problem["settings"], problem["sentences"], problem["end"]
    lengths, never = problem["lengths"][: len(sentences)], problem["never"]
    exact = settings.coverage_penalty == 0  # its logarithms are not
    network = toy(problem["vocabulary"], problem["seed"], problem["impossible"], exact)
    found = beam_search(
        network.step,
        network.state(sentences),
        torch.full((len(sentences),), START),
        end,
        settings,
        source_lengths=torch.tensor(lengths, dtype=torch.int64),
        attention=network.attention,
        never=never,
    )
    assert len(found) == len(sentences)
    for sentence, length, hypotheses in zip(sentences, lengths, found, strict=True):
        expected = plainly(network, sentence, end, settings, length, never)
        assert len(hypotheses) == len(expected) > 0
        for one, (score, total, tokens, finished, attention) in zip(
            hypotheses, expected, strict=True
        ):
            assert (list(one.tokens), one.finished) == (tokens, finished)
            assert one.log_probability == pytest.approx(total, rel=1e-12)
            assert one.score == pytest.approx(score, rel=1e-12)
            looks = torch.tensor(attention)[: len(tokens), :length]  # (tokens, source)
            assert torch.equal(one.attention, looks.float())


# --- known answers -------------------------------------------------------------------------


def sequences(tokens, longest):
    """Every sequence of some tokens, up to a length."""
    return [
        sequence
        for length in range(longest + 1)
        for sequence in itertools.product(tokens, repeat=length)
    ]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_wide_enough_finds_what_trying_everything_finds(toy, seed, alpha):
    network, end, longest = toy(3, seed), 2, 5

    def probability(sequence):
        prefixes = [[START, *sequence[:i]] for i in range(len(sequence) + 1)]
        return sum(
            network.told(1, prefix)[0][token]
            for prefix, token in zip(prefixes, (*sequence, end), strict=True)
        )

    every = {sequence: probability(sequence) for sequence in sequences([0, 1], longest)}
    scores = {s: log / ((6 + len(s)) / 6) ** alpha for s, log in every.items()}
    (found,) = beam_search(
        network.step,
        network.state([1]),
        torch.tensor([START]),
        end,
        BeamSettings(beam=96, n_best=96, length_penalty=alpha, max_length=longest + 1),
    )
    complete = [one for one in found if one.finished]
    assert {one.tokens: one.log_probability for one in complete} == every
    assert [one.score for one in complete] == sorted(scores.values(), reverse=True)


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_as_wide_as_the_vocabulary_suffices_where_only_the_last_token_counts(seed):
    """Of all ways to a token only the best can be part of the best, so no more need be kept."""
    random = torch.Generator().manual_seed(seed)
    logs = torch.rand(3, 3, generator=random, dtype=torch.float64).log_softmax(1) * 3
    every = {
        sequence: sum(float(logs[pair]) for pair in itertools.pairwise((START, *sequence, 2)))
        for sequence in sequences([0, 1], 6)
    }
    ((found,),) = search(lambda tokens, state: (logs[tokens], state), 2, beam=3, max_length=7)
    assert found.tokens == max(every, key=every.get)
    assert found.log_probability == pytest.approx(max(every.values()))


GARDEN_PATH = chain(
    [  # to: start, the, a, cat, end
        [0, 0.5, 0.4, 0, 0.1],
        [0, 0.2, 0.35, 0.2, 0.25],
        [0, 0, 0, 0.9, 0.1],
        [0, 0, 0, 0.1, 0.9],
        [0, 0, 0, 0, 1],
    ]
)


def test_what_begins_well_may_end_worse():
    ((alone,),) = search(GARDEN_PATH, 4, beam=1)
    ((best, *others),) = search(GARDEN_PATH, 4, beam=2, n_best=2)
    assert alone.tokens == (1, 2, 3)
    assert math.exp(alone.log_probability) == pytest.approx(0.5 * 0.35 * 0.9 * 0.9)
    assert best.tokens == (2, 3)
    assert math.exp(best.log_probability) == pytest.approx(0.4 * 0.9 * 0.9)
    assert others == [alone]


def test_the_n_best_are_a_prefix_of_more():
    (all_five,) = search(GARDEN_PATH, 4, beam=5, n_best=5)
    assert [one.score for one in all_five] == sorted((one.score for one in all_five), reverse=True)
    probabilities = [math.exp(one.score) for one in all_five]
    assert probabilities == pytest.approx([0.324, 0.14175, 0.125, 0.1, 0.09])
    for n_best in range(1, 5):
        assert search(GARDEN_PATH, 4, beam=5, n_best=n_best) == [all_five[:n_best]]


def test_a_hypothesis_that_ends_makes_room_for_another():
    step = chain([[0.3, 0.2, 0.1, 0.4], [0, 0, 0, 0.1], [0, 0, 0, 1], [0, 0, 0, 1]])
    (found,) = search(step, 3, beam=3, n_best=3, max_length=2)
    assert [one.tokens for one in found] == [(), (0,), (2,)]  # 2 was the fourth


def test_as_many_are_pursued_though_all_could_have_ended():
    step = chain(
        [
            [0, 0.5, 0.5, 0, 0, 0],
            [0, 0, 0, 0.4, 0, 0.6],
            [0, 0, 0, 0, 0.3, 0.6],
            [0, 0, 0, 0, 0, 0.1],
            [0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 1],
        ]
    )
    (found,) = search(step, 5, beam=2, n_best=2, length_penalty=4.0, max_length=4)
    assert [one.tokens for one in found] == [(2, 4), (1,)]


def test_a_length_penalty_prefers_longer_hypotheses():
    step = chain([[0, 0.6, 0.4], [0, 0.9, 0.1], [0, 0, 1]])  # 1 … or the end
    ((short,),) = search(step, 2, beam=2, max_length=12)
    ((long,),) = search(step, 2, beam=2, max_length=12, length_penalty=2.0)
    assert (short.tokens, short.score) == ((), short.log_probability)
    assert long.tokens == (1,) * 11
    assert long.log_probability == pytest.approx(math.log(0.6 * 0.9**10 * 0.1))
    assert long.score == pytest.approx(long.log_probability / (17 / 6) ** 2)


class Looking:
    """Remembers its last token, and looks at the source's position of that number."""

    def __init__(self, last=None):
        self.last = last

    def select(self, rows):
        return Looking(self.last[rows.flatten()])


def test_a_coverage_penalty_prefers_what_has_looked_at_everything():
    logs = torch.tensor(  # 3 is the end; that a row adds up to more than 1 does not matter
        [[0.01, 0.47, 0.52, 0.5], [0.0, 0.98, 0.02, 0.5], [0.0, 0.02, 0.98, 0.5]]
    ).log()
    looks = torch.tensor([[0.8, 0.1, 0.1, 0.0], [0.1, 0.6, 0.3, 0.0], [0.1, 0.1, 0.8, 0.0]])
    found = {}
    for beta in (0.0, 1.0):
        ((found[beta],),) = beam_search(
            lambda tokens, state: (logs[tokens], Looking(tokens)),
            Looking(),
            torch.tensor([0]),
            3,
            BeamSettings(beam=4, coverage_penalty=beta, max_length=3),
            source_lengths=torch.tensor([3]),
            attention=lambda state: looks[state.last],
        )
    assert found[0.0].tokens == ()
    assert found[0.0].score == found[0.0].log_probability
    best = found[1.0]
    assert best.tokens == (1, 1)
    assert best.log_probability == pytest.approx(math.log(0.47 * 0.98 * 0.5), rel=1e-6)
    covered = math.log(1.0) + math.log(1.0) + math.log(0.1 + 0.3 + 0.3)  # after 0, 1 and 1
    assert best.score == pytest.approx(best.log_probability + covered, rel=1e-6)
    assert torch.equal(best.attention, looks[[0, 1], :3])  # that of the end is left out


def test_equally_good_hypotheses_come_in_the_order_of_their_tokens():
    step = chain([[0.25] * 4] * 4)
    (found,) = search(step, 3, beam=4, n_best=4, max_length=2, min_length=2)
    assert [one.tokens for one in found] == [(0,), (0, 0), (0, 1), (0, 2)]
    assert [one.finished for one in found] == [True, False, False, False]


def test_sums_are_added_up_in_float64():
    values = torch.tensor([[-9.0, -1.0, -9.0], [-9.0, -1e-9, -9.0]])  # float32
    ((found,),) = search(lambda tokens, state: (values[tokens], state), 2, beam=1, max_length=401)
    assert found.tokens == (1,) * 401
    assert found.log_probability == pytest.approx(-1 - 400e-9, rel=1e-13)


# --- constraints ---------------------------------------------------------------------------


def test_no_ngram_occurs_twice(toy):
    network = toy(4, 3)
    for n in (1, 2, 3):
        found = beam_search(
            network.step,
            network.state(range(20)),
            torch.zeros(20, dtype=torch.int64),
            3,
            BeamSettings(beam=3, n_best=3, no_repeat_ngram=n, min_length=3, max_length=30),
        )
        for one in itertools.chain(*found):
            ngrams = list(zip(*(one.tokens[i:] for i in range(n)), strict=False))
            assert len(ngrams) == len(set(ngrams))


def test_lengths_are_kept():
    settings = BeamSettings(
        beam=2, min_length=4, max_length=12, max_length_factor=1.2, max_length_constant=2
    )

    def tokens(end):
        step = chain([[1 - end, end]] * 2)
        found = beam_search(
            step,
            Nothing(),
            torch.zeros(3, dtype=torch.int64),
            1,
            settings,
            source_lengths=torch.tensor([1, 4, 9]),
        )
        return [(len(one.tokens), one.finished) for (one,) in found]

    assert tokens(end=0.9) == [(3, True)] * 3
    assert tokens(end=0.0) == [(4, False), (6, False), (12, False)]


def test_what_is_cut_off_comes_after_what_has_ended():
    step = chain([[0, 0.9, 0.1], [0, 0.9, 0.1], [0, 0, 1]])
    ((ended, cut),) = search(step, 2, beam=2, n_best=2, max_length=1)
    assert (ended.tokens, ended.finished) == ((), True)
    assert (cut.tokens, cut.finished) == ((1,), False)
    assert cut.score > ended.score


def test_where_no_token_is_possible_what_there_is_remains():
    step = chain([[0, 1, 0], [0, 0, 0], [0, 0, 1]])
    ((found,),) = search(step, 2, beam=3)
    assert (found.tokens, found.log_probability, found.finished) == ((1,), 0.0, False)
    assert search(chain([[0, 0], [0, 0]]), 1)[0][0].tokens == ()


def test_some_tokens_are_in_no_hypothesis(toy):
    network = toy(6, 1)
    found = beam_search(
        network.step,
        network.state(range(30)),
        torch.zeros(30, dtype=torch.int64),
        5,
        BeamSettings(beam=3, n_best=3, max_length=9),
        never=[0, 2],
    )
    tokens = {token for one in itertools.chain(*found) for token in one.tokens}
    assert tokens == {1, 3, 4}


# --- what shares the batch, and what is computed -------------------------------------------


@pytest.mark.parametrize("beam", [1, 4])
def test_hypotheses_are_the_same_at_any_batch_size(toy, beam):
    network = toy(7, 2)
    settings = BeamSettings(beam=beam, n_best=beam, length_penalty=0.7, max_length=15)

    def found(size):
        return [
            hypotheses
            for batch in (range(i, min(i + size, 64)) for i in range(0, 64, size))
            for hypotheses in beam_search(
                network.step, network.state(batch), torch.zeros(len(batch)).long(), 6, settings
            )
        ]

    assert found(1) == found(8) == found(64)


def down(tokens, state):
    """The token below, and 0 ends; so the first token says how many steps a sentence has."""
    logs = torch.full((len(tokens), 12), -50.0)
    logs[torch.arange(len(tokens)), tokens - 1] = -0.5
    return logs, state


@pytest.mark.parametrize("beam", [1, 3])
def test_no_step_is_computed_for_a_sentence_that_is_done(beam):
    rows = []

    def step(tokens, state):
        rows.append(len(tokens))
        return down(tokens.clamp(min=1), state)

    first = torch.tensor([3, 1, 6, 3, 2])
    found = beam_search(step, Nothing(), first, 0, BeamSettings(beam=beam))
    assert [len(one.tokens) for (one,) in found] == [2, 0, 5, 2, 1]
    assert rows == [5, 4 * beam, 3 * beam, beam, beam, beam]


def test_a_search_ends_when_nothing_can_overtake_the_best():
    calls = []

    def counted(alpha, max_length):
        calls.clear()
        step = chain([[0, 0.5, 0.5], [0, 0.5, 0.5], [0, 0, 1]])

        def counting(tokens, state):
            calls.append(len(tokens))
            return step(tokens, state)

        search(counting, 2, beam=2, length_penalty=alpha, max_length=max_length)
        return len(calls)

    assert counted(0.0, 100) == 1  # the end has 1/2, and so has all that goes on
    # After the first step the best has -log 2. In t steps log-probabilities fall to -t log 2,
    # which divided by the greatest penalty, of 19 tokens 4, reaches that at the fourth.
    assert counted(1.0, 19) == 4
    assert counted(1.0, 25) == 5


def test_a_search_ends_when_the_best_can_but_be_equalled():
    calls = []
    step = chain([[0.05, 0.5, 0.25, 0.2], [0.2, 0.2, 0.1, 0.5], [0, 0, 1, 0], [0.05, 0.05, 0, 0.9]])

    def counting(tokens, state):
        calls.append(len(tokens))
        return step(tokens, state)

    ((found,),) = search(counting, 2, beam=2)
    assert found.tokens == ()
    assert len(calls) == 2  # after which 1, 3 has 1/4, too, and nothing has just ended


@pytest.mark.parametrize(("patience", "steps"), [(0.5, 1), (1.0, 2), (1.5, 3), (None, 9)])
def test_patience_is_content_with_the_first(patience, steps):
    calls = []
    step = chain([[0, 0.6, 0.4], [0, 0.6, 0.4], [0, 0, 1]])

    def counting(tokens, state):
        calls.append(len(tokens))
        return step(tokens, state)

    search(counting, 2, beam=2, length_penalty=9.0, max_length=9, patience=patience)
    assert len(calls) == steps


def test_what_is_held_once_a_sentence_is_left_alone_until_one_leaves(toy):
    network, memories = toy(5, 6), []

    def step(tokens, state):
        memories.append(state.memory)
        return network.step(tokens, state)

    settings = BeamSettings(beam=3, max_length=20)
    beam_search(step, network.state(range(6)), torch.zeros(6).long(), 4, settings)
    kept = [after is before for before, after in itertools.pairwise(memories)]
    left = [len(after) < len(before) for before, after in itertools.pairwise(memories)]
    assert any(left)
    assert kept == [not each for each in left]


def test_an_empty_batch_has_no_hypotheses(toy):
    network = toy(3)
    assert (
        beam_search(network.step, network.state([]), torch.zeros(0).long(), 2, BeamSettings()) == []
    )
    assert network.calls == []


@given(seed=st.integers(0, 10**6), vocabulary=st.integers(1, 8), alpha=st.sampled_from([0.0, 1.5]))
def test_a_beam_of_one_is_greedy(toy, seed, vocabulary, alpha):
    network, start = toy(vocabulary, seed, impossible=0.2), torch.zeros(5, dtype=torch.int64)
    settings = BeamSettings(beam=1, length_penalty=alpha, no_repeat_ngram=2, max_length=9)
    end = seed % vocabulary
    chains = greedy(network.step, network.state(range(5)), start, end, settings)
    beams = beam_search(network.step, network.state(range(5)), start, end, settings)
    assert [[one] for one in chains] == beams


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_any_floating_type_is_searched(toy, dtype):
    network = toy(6, 8)  # multiples of 1/8 below 3 are exact in all of them
    settings = BeamSettings(beam=3, n_best=3, no_repeat_ngram=2, min_length=2, max_length=12)
    arguments = (network.state(range(9)), torch.zeros(9).long(), 5, settings)
    expected = beam_search(network.step, *arguments)
    network.table = network.table.to(dtype)
    assert beam_search(network.step, *arguments) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same(toy):
    network = toy(6, 8)
    settings = BeamSettings(
        beam=3, n_best=3, length_penalty=1.0, no_repeat_ngram=2, min_length=2, max_length=12
    )
    expected = beam_search(
        network.step, network.state(range(9)), torch.zeros(9).long(), 5, settings
    )
    network.table, network.looks = network.table.cuda(), network.looks.cuda()
    state = type(network.state([0]))(*(part.cuda() for part in network.state(range(9))[:2]))
    start = torch.zeros(9, dtype=torch.int64, device="cuda")
    assert beam_search(network.step, state, start, 5, settings) == expected


# --- bad input -----------------------------------------------------------------------------


def refused(start=None, source_lengths=None, **settings):
    start = torch.zeros(2, dtype=torch.int64) if start is None else start
    step = chain([[0.5, 0.5]] * 2)
    with pytest.raises(DataError) as error:
        beam_search(
            step, Nothing(), start, 1, BeamSettings(**settings), source_lengths=source_lengths
        )
    return str(error.value)


def test_what_does_not_fit_together_is_refused():
    assert "start has shape (2, 1) and dtype torch.int64" in refused(torch.zeros(2, 1).long())
    assert "dtype torch.float32, expected (B,) and int64" in refused(torch.zeros(2))
    message = refused(source_lengths=torch.tensor([1, 2, 3]))
    assert "source_lengths has shape (3,), expected (2,)" in message
    assert "give source_lengths, or use max_length alone" in refused(max_length_factor=2.0)
    message = refused(coverage_penalty=0.2, source_lengths=torch.tensor([1, 2]))
    assert "coverage_penalty is 0.2, and the network's attention" in message


@pytest.mark.parametrize("beam", [1, 2])
def test_numbers_that_are_none_are_refused(beam):
    step = chain([[0.5, 0.5, math.nan]] * 3)
    with pytest.raises(DataError, match="not numbers"):
        search(step, 1, beam=beam, max_length=5)
