"""``languages``: what languages call the world's regions and languages, from Babel's locales."""

import numpy as np

from unspool.data.labelled_text import LabelledText

LANGUAGES = {
    "ca": "Catalan",
    "hr": "Croatian",
    "cs": "Czech",
    "da": "Danish",
    "nl": "Dutch",
    "en": "English",
    "et": "Estonian",
    "fi": "Finnish",
    "fr": "French",
    "de": "German",
    "hu": "Hungarian",
    "it": "Italian",
    "lt": "Lithuanian",
    "nb": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "sk": "Slovak",
    "es": "Spanish",
    "sv": "Swedish",
    "tr": "Turkish",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "mk": "Macedonian",
    "ru": "Russian",
    "sr": "Serbian",
    "uk": "Ukrainian",
    "ar": "Arabic",
    "fa": "Persian",
    "ur": "Urdu",
    "hi": "Hindi",
    "mr": "Marathi",
    "ne": "Nepali",
}
"""The languages by their codes: twenty in Latin, six in Cyrillic, three in Arabic, and three in
Devanagari script."""

_NO_NAMES = {"XA", "XB", "ZZ", "mul", "und", "zxx"}
"""Codes that stand for nothing that has a name, such as "unknown region"."""


def names() -> LabelledText:
    """Return every name with its language as the label.

    What a name stands for, a region's or a language's code, is its group: all names of one thing
    belong into one part. A spelling that two languages share is there twice, with both labels.

    Examples
    --------
    >>> everything = names()
    >>> everything.texts[:2], everything.labels[:2].tolist()
    (('Món', 'Àfrica'), ['Catalan', 'Catalan'])
    """
    from babel import Locale

    texts, labels, codes = [], [], []
    for language, label in LANGUAGES.items():
        locale = Locale(language)
        for named in (locale.territories, locale.languages):
            for code in sorted(named.keys() - _NO_NAMES):
                texts.append(named[code])
                labels.append(label)
                codes.append(code)
    _, groups = np.unique(codes, return_inverse=True)
    return LabelledText(tuple(texts), np.array(labels), groups.astype(np.int64))
