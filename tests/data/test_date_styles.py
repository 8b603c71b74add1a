import re
from datetime import date

import pytest
from babel import Locale
from babel.dates import format_date

from unspool.data import catalogue
from unspool.data.date_styles import LOCALES, styles_of

DAYS = [date(1900, 1, 1), date(1987, 9, 30), date(2024, 2, 29), date(2099, 12, 31)]
DIGITS = {"ar_EG": "٠١٢٣٤٥٦٧٨٩", "fa": "۰۱۲۳۴۵۶۷۸۹", "bn": "০১২৩৪৫৬৭৮৯", "mr": "०१२३४५६७८९"}


@pytest.mark.parametrize("code", LOCALES)
def test_babel_writes_the_same(code):
    locale = Locale.parse(code)
    patterns = [*locale.date_formats.values()]
    patterns += [p for name, p in locale.datetime_skeletons.items() if not name.startswith("G")]
    native = str.maketrans("0123456789", DIGITS.get(code, "0123456789"))
    for day in DAYS:
        written = {style.write(day) for style in styles_of(code)}
        expected = {
            format_date(day, str(pattern), locale).translate(native)
            for pattern in patterns
            if whole(str(pattern))
        }
        assert written == expected
        assert len(written) >= 4


def whole(pattern: str) -> bool:
    """Whether a pattern has a day, a month and a year of four digits, and no time."""
    unquoted = re.sub(r"'[^']*'", "", pattern)
    letters = {letter for letter in unquoted if letter.isascii() and letter.isalpha()}
    a_date = {"y", "d"} <= letters <= set("yMLdEcG") and bool(letters & {"M", "L"})
    return a_date and re.findall("y+", unquoted) != ["yy"]


def test_there_are_at_least_thirty_languages():
    assert len({code.split("_")[0] for code in LOCALES}) == 40
    assert len(LOCALES) == len(set(LOCALES)) == 42
    assert " 40 languages " in catalogue.entry("dates").description


def test_styles_differ():
    for code in ("de", "th"):
        styles = styles_of(code)
        assert len({(style.template, style.fields) for style in styles}) == len(styles)
        assert {style.locale for style in styles} == {code}


def test_a_known_date_is_written_as_people_write_it():
    day = date(2026, 11, 22)
    written = {code: [style.write(day) for style in styles_of(code)] for code in LOCALES}
    for code, text in {
        "de": "Sonntag, 22. November 2026",
        "en_US": "Sunday, November 22, 2026",
        "en_GB": "22 November 2026",
        "fr": "22 novembre 2026",
        "ja": "2026年11月22日",
        "lv": "2026. gada 22. novembris",
        "fa": "۲۲ نوامبر ۲۰۲۶",
        "nl": "22-11-2026",
        "vi": "22 tháng 11, 2026",
    }.items():
        assert text in written[code]
