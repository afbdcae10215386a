"""Cleaning: each option does its own thing, and nothing is done unasked."""

import time
import unicodedata

import pytest

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.nlp.data.cleaning import make_cleaner
from aitk.nlp.data.languages import guess_language, guess_languages, script_of
from aitk.nlp.data.options import TextReading


def clean(text, **options):
    return make_cleaner(TextReading(**options))(text)


def test_by_default_characters_are_composed_and_ends_trimmed():
    decomposed = unicodedata.normalize("NFD", " Café  <b>1</b>, ｆｕｌｌ \n")
    assert clean(decomposed) == "Café  <b>1</b>, ｆｕｌｌ"
    assert clean("ｆｕｌｌ", unicode_form="NFKC") == "full"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Tom &amp; <b>Jerr</b>y<br/>are &lt;here&gt;</p>", "Tom & Jerry are <here>"),
        ("one<div>two</div><li>three", "one two three"),
        ("a<!-- b -->c <script>alert('<p>')</script>d<STYLE>p {}</STYLE >e", "ac d e"),
        ("I <3 you, a < b", "I <3 you, a < b"),
        ('<!DOCTYPE html><img alt="a>b">x', "x"),
        ("İ <script>x</script> y", "İ y"),
    ],
)
def test_html(markup, text):
    assert clean(markup, strip_html=True) == text


@pytest.mark.parametrize("piece", ["<a ", "<", "&", "<!--", "<script>", '<a b="', "www.", "a@"])
def test_hostile_text_takes_linear_time(piece):
    started = time.process_time()
    clean(piece * 100_000, strip_html=True, urls="remove")
    assert time.process_time() - started < 5


def test_addresses():
    text = "See https://a.com/x?y=1, www.b.org. Or me@x.co.uk! 请看https://a.com/x很好"
    assert clean(text, urls="replace") == "See URL, URL. Or EMAIL! 请看URL很好"
    assert clean("so http://a.b/c it is", urls="remove") == "so it is"


def test_case_and_punctuation():
    text = "Don't STOP—now! हिन्दी में, 你好！ $5 a_b"
    assert clean(text, strip_punctuation=True) == "Dont STOP now हिन्दी में 你好 5 a b"
    assert clean(text, lowercase=True) == text.lower()


def test_stop_words():
    assert clean("It's the best of THE products", stop_words="en") == "best products"
    assert clean("C'est l'hôtel qu'il préfère", stop_words="fr") == "l'hôtel préfère"


def test_stems():
    assert clean("cats were running", stem="en") == "cat were run"


def test_lemmas_from_the_tables():
    assert clean("The mice were Running, he went", lemmas="en") == "The mouse be run, he go"


def test_length():
    assert clean("one two", max_characters=4) == "one"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stop_words": "xx"}, UsageError, "no stop words for 'xx'. Available: .*en"),
        ({"stop_words": "zh"}, UsageError, "without spaces"),
        ({"stem": "zh"}, UsageError, "no stemmer for 'zh'. Available: .*en"),
        ({"lemmas": "no_such_pipeline"}, ArtifactError, "python -m spacy download"),
    ],
)
def test_missing_resources_are_reported(options, error, message):
    with pytest.raises(error, match=message):
        make_cleaner(TextReading(**options))


def test_lemmas_without_their_tables(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ArtifactError, match=r"pip install 'aitk-toolkit\[lemmas\]'"):
        make_cleaner(TextReading(lemmas="en"))


@pytest.mark.parametrize(
    ("text", "script", "language"),
    [
        ("where is the parcel that I have ordered", "LATIN", "en"),
        ("wo ist das Paket, das ich bestellt habe", "LATIN", "de"),
        ("Где мой заказ, я его не получил", "CYRILLIC", "ru"),
        ("这个产品很好", "CJK", "zh"),
        ("この商品は良い", "HIRAGANA", "ja"),
        ("สินค้าดีมาก", "THAI", "th"),
        ("?! 12", "none", "und"),
    ],
)
def test_scripts_and_languages(text, script, language):
    assert script_of(text) == script
    assert guess_language(text, script) == language


def test_many_texts_have_the_languages_of_each_by_itself():
    texts = [
        "where is the parcel that I have ordered",
        "wo ist das Paket, das ich bestellt habe",
        "¿dónde está el paquete que he pedido?",
        "Где мой заказ, я его не получил",
        "", "?! 12", "don't you have it", "a\0b is the one", "x" * 1000 + " the", "zzz",
    ] * 20  # fmt: skip
    scripts = [script_of(text) for text in texts]
    assert guess_languages(texts, scripts) == list(map(guess_language, texts, scripts))


def test_stop_words_need_no_spacy_import(python):
    program = (
        "import sys; from aitk.nlp.data.languages import stop_words;"
        "print('the' in stop_words('en'), 'spacy' in sys.modules)"
    )
    assert python(program).stdout.split() == ["True", "False"]
