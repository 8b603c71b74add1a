import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.decoding.constraints import Constraints
from unspool.decoding.settings import BeamSettings

V = 4


def after(histories, end=3, never=(), **settings):
    """Which tokens may follow some histories of one length."""
    length = len(histories[0])
    made = Constraints(BeamSettings(**settings), end, never, len(histories), torch.device("cpu"))
    for i in range(length):
        made.extend(torch.arange(len(histories))[:, None], torch.tensor(histories)[:, i : i + 1])
    given = torch.full((len(histories), V), -1.0)
    allowed = made.allow(given, length + 1)
    assert torch.equal(given, torch.full_like(given, -1.0))  # it is the network's own
    return [[token for token in range(V) if row[token] == -1] for row in allowed]


def test_nothing_is_forbidden_unless_that_is_asked_for():
    assert after([[0, 0, 0]]) == [[0, 1, 2, 3]]


def test_the_end_does_not_come_too_early():
    assert after([[0]], min_length=3) == [[0, 1, 2]]
    assert after([[0, 1]], min_length=3) == [[0, 1, 2, 3]]


def test_some_tokens_never_come():
    assert after([[0]], never=[0, 2, 2]) == [[1, 3]]
    assert after([[0]], never=[0, 2], min_length=3) == [[1]]


@given(
    n=st.integers(1, 4),
    histories=st.integers(1, 7).flatmap(
        lambda length: st.lists(
            st.lists(st.integers(0, 2), min_size=length, max_size=length), min_size=1, max_size=3
        )
    ),
)
def test_no_ngram_comes_again(n, histories):
    def repeats(tokens):
        ngrams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
        return ngrams[-1:] != [] and ngrams[-1] in ngrams[:-1]

    expected = [
        [token for token in range(V) if not repeats([*history, token])] for history in histories
    ]
    assert after(histories, no_repeat_ngram=n) == expected


def test_histories_follow_the_rows_that_are_kept():
    made = Constraints(BeamSettings(no_repeat_ngram=1), 3, [], 2, torch.device("cpu"))
    made.extend(torch.tensor([[0], [1]]), torch.tensor([[0], [1]]))
    made.extend(torch.tensor([[1, 1]]), torch.tensor([[0, 2]]))
    allowed = made.allow(torch.zeros(2, V), 3)
    assert allowed.isfinite().tolist() == [[False, False, True, True], [True, False, False, True]]
