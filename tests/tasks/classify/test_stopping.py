import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.tasks.classify.stopping import AnswersByStep


def drawn(count, steps, seed):
    """Answers after each step, held past each sequence's end."""
    random = np.random.default_rng(seed)
    confidence, right = random.random((count, steps)), random.random((count, steps)) < 0.6
    lengths = random.integers(1, steps + 1, count)
    lengths[0] = steps
    for values in (confidence, right):
        for row, length in zip(values, lengths, strict=True):
            row[length:] = row[length - 1]
    return AnswersByStep(confidence, right, lengths)


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0.01, 1))
def test_a_stop_is_that_of_reading_one_after_another(count, steps, seed, belief):
    answers = drawn(count, steps, seed)
    read, hits = [], []
    for confidence, right, length in zip(
        answers.confidence, answers.right, answers.lengths, strict=True
    ):
        step = 0
        while step < length - 1 and confidence[step] < belief:
            step += 1
        read.append(step + 1)
        hits.append(right[step])
    stop = answers.stop(belief)
    assert (stop.belief, stop.accuracy) == (belief, pytest.approx(np.mean(hits)))
    assert stop.mean_steps == pytest.approx(np.mean(read))


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_stronger_belief_never_reads_less(count, steps, seed):
    early = drawn(count, steps, seed).early(0.7)
    beliefs = [stop.belief for stop in early.curve]
    read = [stop.mean_steps for stop in early.curve]
    assert beliefs == sorted(set(beliefs))
    assert read == sorted(read)
    assert all(1 <= each <= early.steps + 1e-9 for each in read)
    assert early.chosen in early.curve
    assert [stop.belief for stop in early.landmarks][:3] == [0.5, 0.7, 0.8]


def test_what_never_is_sure_is_read_to_its_end():
    answers = drawn(20, 6, 0)
    stop = answers.stop(1.0)
    assert stop.mean_steps == answers.lengths.mean()
    assert stop.accuracy == answers.right[:, -1].mean()


def test_reading_equally_far_counts_the_steps_that_there_are():
    answers = AnswersByStep(
        np.ones((2, 3)), np.array([[1, 1, 1], [0, 1, 1]], bool), np.array([3, 1])
    )
    assert answers.early(0.5).fixed == ((1.0, 0.5), (1.5, 1.0), (2.0, 1.0))
    assert answers.early(0.5).steps == 2
