"""What is expected here was written by Moses' own scripts, without their XML."""

import pytest

from unspool.data.moses import lowercased_tokens

ENGLISH = {
    "A man's dog didn’t bark, it slept...": "a man 's dog didn 't bark , it slept ...",
    "The boys' shirts (red, blue ) cost 1,000.50 dollars; 50 % off!": (
        "the boys ' shirts ( red , blue ) cost 1,000.50 dollars ; 50 % off !"
    ),
    "“Stop,” she said — “now.” He didn't.": '" stop , " she said - " now . " he didn \'t .',
    "The 1990's T-shirt & co. of Mr. Smith, a.k.a. John.": (
        "the 1990 's t-shirt & co. of mr. smith , a.k.a. john ."
    ),
    "rock 'n' roll,5,x,,y... and . more": "rock ' n ' roll , 5 , x , , y ... and . more",
}
FRENCH = {
    "L'homme (à droite) s'assoit , aujourd’hui.": (
        "l' homme ( à droite ) s' assoit , aujourd' hui ."
    ),
    "«\u00a0Bonjour\u00a0»,\u00a0dit-elle\u00a0: « ça va ? »": (
        '" bonjour " , dit-elle : " ça va ? "'
    ),
    "Un homme et \"une femme.\" l'arbre 'vert' d'ici": (
        "un homme et \" une femme \" . l' arbre ' vert ' d' ici"
    ),
}
GERMAN = {
    "Der Mann's Hund, 3,5 Meter groß_und „laut“.": (
        'der mann \' s hund , 3,5 meter groß _ und " laut " .'
    ),
    "Ein „Schild,“ auf dem steht: ‚ja‘ [hier] <dort>": (
        'ein " schild " , auf dem steht : " ja " [ hier ] < dort >'
    ),
}


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (language, text, expected)
        for language, texts in (("en", ENGLISH), ("fr", FRENCH), ("de", GERMAN))
        for text, expected in texts.items()
    ],
)
def test_words_are_those_of_moses(language, text, expected):
    assert lowercased_tokens(text, language) == expected


def test_a_language_that_is_not_known_has_apostrophes_apart():
    for language in (None, "de", "xx"):
        assert lowercased_tokens("it's", language) == "it ' s"


@pytest.mark.parametrize("text", ["", "  ", ".", "...", "'", "´", "a", "\u00a0"])
def test_what_is_hardly_a_text(text):
    assert lowercased_tokens(text, "en").split() == list(
        filter(None, [text.replace("´", "'").strip()])
    )
