import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unspool.data.ts_files import read_ts
from unspool.errors import DataError

GOOD = """# a comment
@problemName Example
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength false
@classLabel true up down

@data
1,2,3:4,5,6:up
# another comment
7 : 8 : down
"""

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(
    st.integers(1, 3).flatmap(
        lambda features: st.lists(
            st.integers(1, 5).flatmap(
                lambda steps: arrays("f4", (steps, features), elements=FINITE)
            ),
            min_size=1,
            max_size=4,
        )
    ),
    st.booleans(),
)
def test_any_series_come_back(tmp_path_factory, series, packed):
    lines = ["@classLabel true 0 1", "@data"]
    for number, values in enumerate(series):
        dimensions = [",".join(repr(float(value)) for value in column) for column in values.T]
        lines.append(":".join([*dimensions, str(number % 2)]))
    content = "\n".join(lines).encode()
    path = tmp_path_factory.mktemp("ts") / "any.ts"
    path.write_bytes(gzip.compress(content) if packed else content)
    back = read_ts(path)
    assert back.lengths.tolist() == [len(values) for values in series]
    assert np.array_equal(back.values, np.concatenate(series))
    assert back.labels.tolist() == [str(number % 2) for number in range(len(series))]


def test_dimensions_become_features(write):
    sequences = read_ts(write("a.ts", GOOD))
    assert sequences.values.tolist() == [[1, 4], [2, 5], [3, 6], [7, 8]]
    assert sequences.lengths.tolist() == [3, 1]
    assert sequences.labels.tolist() == ["up", "down"]


def test_labels_may_be_absent_or_ignored(write):
    unlabelled = "@univariate true\n@classLabel false\n@data\n1,2\n3\n"
    assert read_ts(write("a.ts", unlabelled)).labels is None
    unknown = GOOD.replace(":up", ":?")
    sequences = read_ts(write("a.ts", unknown), labelled=False)
    assert sequences.labels is None
    assert sequences.num_features == 2


def test_older_headers_will_do(write):
    content = GOOD.replace("@dimensions", "@dimension").replace("\n", "\r\n")
    assert read_ts(write("a.ts", content)).num_features == 2


EQUAL = "@equalLength true\n@seriesLength 2\n@data\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "bad.ts has no @data line"),
        ("@data\n# nothing\n", "bad.ts holds no case"),
        ("1,2,3\n", "line 1: found '1,2,3', expected a tag such as @data first"),
        ("@clasLabel true a\n@data\n", "line 1: unknown tag @claslabel, .* mean @classlabel"),
        ("@univariate yes\n@data\n", "line 1: @univariate is 'yes', expected true or false"),
        ("@missing\n@data\n", "line 1: @missing is '', expected true or false"),
        ("@dimensions two\n", "line 1: @dimensions is 'two', expected a whole number above 0"),
        ("@seriesLength 0\n", "line 1: @serieslength is '0', expected a whole number above 0"),
        ("@classLabel true\n", "line 1: @classLabel true lists no labels"),
        ("@targetLabel true\n", "line 1: found regression targets, expected class labels"),
        ("\n@timestamps true\n", "line 2: the series have timestamps, expected evenly"),
        ("@data\n(0,1),(1,2)\n", r"line 2, dimension 1: found a timestamp '\(0,1\),\(1,2\)'"),
        (GOOD.replace("5", "?"), "line 11, dimension 2: value 2 is '?', expected a finite number"),
        (GOOD.replace("5", "1e300"), r"bad.ts: a value of 1e\+300 is beyond 32-bit"),
        (GOOD.replace("5", "NaN"), "line 11, dimension 2: value 2 is 'NaN'"),
        (GOOD.replace("5", "inf"), "line 11, dimension 2: value 2 is 'inf'"),
        (GOOD.replace("5", "five"), "line 11, dimension 2: value 2 is 'five'"),
        (GOOD.replace("5", ""), "line 11, dimension 2: value 2 is '', expected a finite"),
        (GOOD.replace("8", ""), "line 13, dimension 2: value 1 is ''"),
        (GOOD.replace(": down", ": left"), "line 13: the class label is 'left', .*: up, down"),
        (GOOD.replace(": down", ""), "line 13: the class label is '8'"),
        (GOOD.replace("7 :", ""), "line 13: found 1 dimensions, expected 2"),
        (GOOD.replace("@dimensions 2", "").replace("7 :", ""), "line 13: found 1 dimensions"),
        (GOOD.replace("false\n@dimensions 2", "true"), "line 10: found 2 dimensions, expected 1"),
        (GOOD.replace(",6", ""), "line 11: the dimensions have 3, 2 values, expected equally many"),
        (EQUAL + "1,2\n1,2,3\n", "line 5: found 3 values, expected 2 as the header"),
        ("@equalLength true\n@data\n1,2\n1\n", "line 4: found 1 values, expected 2 as the header"),
        (b"@data\n1,2\n\xff\n", "line 3: found byte 0xff, expected UTF-8 text"),
        (gzip.compress(GOOD.encode())[:-9], "gzip data breaks off"),
    ],
)
def test_a_bad_file_is_refused_by_line(write, content, message):
    path = write("bad.ts", content)
    with pytest.raises(DataError, match=message.replace("'?'", r"'\?'")) as caught:
        read_ts(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
