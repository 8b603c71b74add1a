import re
import unicodedata
from collections import defaultdict
from datetime import date

import pytest

from unspool.data.date_readings import Readings
from unspool.data.date_styles import LOCALES, DateStyle, Field, styles_of

STYLES = [style for code in LOCALES for style in styles_of(code)]
READINGS = Readings(STYLES)
DAYS = [date(2021, month, day) for month in range(1, 13) for day in (*range(1, 14), 20, 28)]


def seen(text: str) -> str:
    """What a hasty reader sees: no marks without ink, no case, no zeros that fill up a number."""
    spaced = " ".join(text.translate(INKLESS).casefold().split())
    return FILLING.sub("", spaced)


INKLESS = {code: None for code in range(0x3000) if unicodedata.category(chr(code)) == "Cf"}
FILLING = re.compile(r"(?<!\d)[0٠۰०০]+(?=\d)")


def test_a_text_has_the_readings_that_a_search_through_all_dates_finds():
    """In every style, with any weekday that it may name."""
    found: dict[str, set[date]] = defaultdict(set)
    true: dict[str, set[date]] = defaultdict(set)
    for style in STYLES:
        weekdays = range(7) if any(field.letter == "E" for field in style.fields) else range(1)
        for day in DAYS:
            true[style.write(day)].add(day)
            for weekday in weekdays:
                numbers = {"y": 121, "M": day.month - 1, "d": day.day - 1, "E": weekday, "G": 0}
                found[seen(style.fill(numbers))].add(day)
    several = 0
    for text, days in true.items():
        readings = READINGS.of(text)
        assert readings == found[seen(text)]
        assert days <= readings
        several += len(readings) > 1
    assert several > 500


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("03/04/2021", {date(2021, 4, 3), date(2021, 3, 4)}),
        ("3/4/2021", {date(2021, 4, 3), date(2021, 3, 4)}),
        ("13/04/2021", {date(2021, 4, 13)}),
        ("04/13/2021", {date(2021, 4, 13)}),
        ("05/05/2021", {date(2021, 5, 5)}),
        ("31/02/2021", set()),
        ("29/02/2024", {date(2024, 2, 29)}),
        ("Sat, 3/4/2021", {date(2021, 4, 3), date(2021, 3, 4)}),
        ("٣‏/٤‏/٢٠٢١", {date(2021, 4, 3)}),  # in digits of which nobody puts the month first
        ("3.4.2021", {date(2021, 4, 3)}),
        ("2021-04-03", {date(2021, 4, 3)}),
        ("2021/4/3", {date(2021, 4, 3)}),
        ("03/04/21", set()),  # no style has a year of two digits
        ("3. listopada 2021.", {date(2021, 10, 3)}),
        ("3 listopada 2021", {date(2021, 11, 3)}),
        ("3 APRIL 2021", {date(2021, 4, 3)}),
        ("3\u00a0april 2021", {date(2021, 4, 3)}),
        ("03/04/1899", set()),
        ("", set()),
        ("tomorrow", set()),
    ],
)
def test_what_can_be_read(text, days):
    assert READINGS.of(text) == days


def test_names_that_stand_for_several_months_have_several_readings():
    months = tuple("JFMAMJJASOND")
    day, year = (
        Field("d", tuple(map(str, range(1, 32)))),
        Field("y", tuple(map(str, range(1900, 2100)))),
    )
    readings = Readings([DateStyle("xx", "%s %s %s", (day, Field("M", months), year))])
    assert readings.of("7 J 2020") == {date(2020, 1, 7), date(2020, 6, 7), date(2020, 7, 7)}
    assert readings.of("7 F 2020") == {date(2020, 2, 7)}
