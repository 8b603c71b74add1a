import re
from datetime import date

import pytest

from unspool.data.date_styles import LOCALES, styles_of
from unspool.data.dates import draw
from unspool.data.pairs import SPLITS

PARTS = {split: draw(split, 6000, seed=0) for split in SPLITS}
NUMERIC = re.compile(r"(\d{1,2})/(\d{1,2})/\d{4}$")


def test_targets_are_dates_in_iso_8601():
    for pairs in PARTS.values():
        for target in pairs.targets:
            assert date.fromisoformat(target).isoformat() == target
            assert "1900" <= target[:4] <= "2099"


def test_no_day_and_no_text_is_in_two_parts():
    for other in ("validation", "test"):
        assert not set(PARTS["train"].targets) & set(PARTS[other].targets)
        assert not set(PARTS["train"].sources) & set(PARTS[other].sources)
    assert not set(PARTS["validation"].targets) & set(PARTS["test"].targets)


def test_a_text_has_one_answer():
    answers = {}
    for pairs in PARTS.values():
        for source, target in pairs:
            assert answers.setdefault(source, target) == target


def test_no_text_leaves_open_which_number_is_the_month():
    numeric = [found for source in PARTS["train"].sources if (found := NUMERIC.search(source))]
    assert len(numeric) > 100
    for found in numeric:
        low, high = sorted(map(int, found.groups()))
        native = not found[1].isascii()
        assert high > 12 or low == high or native or found.string.startswith(OF_ONE_LANGUAGE)


OF_ONE_LANGUAGE = tuple(
    style.write(day)[:2]
    for code in LOCALES
    if not code.startswith("en")
    for style in styles_of(code)
    for day in (date(2001, 1, day) for day in range(1, 8))
    if style.fields[0].letter == "E"
)
"""Beginnings of weekdays that tell a language: each but English has one order of figures."""


def test_every_locale_is_drawn_about_equally_often():
    marks = [
        source[1 : source.index(">")] for source in draw("train", 8400, 1, locale_mark=True).sources
    ]
    counts = [marks.count(locale) for locale in LOCALES]
    assert set(marks) == set(LOCALES)
    assert min(counts) > 130
    assert max(counts) < 280


def test_with_the_locale_before_it_a_date_in_figures_has_one_reading():
    pairs = draw("train", 20_000, 1, locale_mark=True)
    orders = {"en_US": set(), "en_GB": set()}
    for source, target in pairs:
        found = re.fullmatch(r"<(en_US|en_GB)> (\d+)/(\d+)/(\d+)", source)
        if found and int(found[2]) <= 12 and int(found[3]) <= 12 and found[2] != found[3]:
            orders[found[1]].add(int(found[2]) == int(target[5:7]))
    assert orders == {"en_US": {True}, "en_GB": {False}}


@pytest.mark.parametrize("mark", [True, False])
def test_the_first_ones_are_the_same_whatever_the_count(mark):
    few, more = (draw("test", count, 5, locale_mark=mark) for count in (10, 5000))
    assert more.take(range(10)) == few
    assert len(more) == 5000
    assert len(draw("test", 0, 5)) == 0


def test_the_seed_decides():
    assert draw("test", 50, 0) == PARTS["test"].take(range(50))
    assert draw("test", 50, 1) != draw("test", 50, 0)


def test_digits_are_the_locales_own():
    scripts = {char for source in PARTS["train"].sources for char in source if char.isdigit()}
    assert {*"0٠۰०০"} <= scripts
