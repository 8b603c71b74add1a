import numpy as np

from unspool.tasks.translate.writing import _TOKENS, _batches


def test_long_sources_are_answered_by_fewer_at_a_time():
    lengths = np.array([3] * 100 + [_TOKENS // 4] * 6 + [3 * _TOKENS] * 2)
    batches = list(_batches(np.arange(len(lengths)), lengths, 64))
    assert np.concatenate(batches).tolist() == list(range(len(lengths)))
    assert [len(numbers) for numbers in batches] == [64, 36, 4, 2, 1, 1]
