"""From logits to texts: best paths, searches, both heads, streams, words in time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.speech.data.options import FeatureSettings, TranscriptionOptions
from aitk.speech.decoding.alignment import confidence_of, timed_words
from aitk.speech.decoding.beam_search import Hypothesis
from aitk.speech.decoding.ctc import force_align, log_softmax
from aitk.speech.decoding.ctc_assets import CtcAssets, learn_language_model, load_ctc_assets
from aitk.speech.decoding.transcribing import transcribe
from aitk.speech.explain.images import alignment_chart
from aitk.speech.features.assets import AudioAssets
from aitk.speech.features.tokenizers.units import learn_units, units_from

TEXTS = ["anna", "hanna", "anna hanna"]
AUDIO = AudioAssets(FeatureSettings(sample_rate_hz=8000, normalise="none"))


def make(texts=TEXTS, **given) -> CtcAssets:
    values = {"audio": AUDIO, "units": learn_units(texts, kind="char"), "subsampling": 2}
    return CtcAssets(**(values | given))


def logits_of(paths, classes, *, sure=0.9):
    """(batch, steps, classes) that write these paths, one unit a step."""
    logits = np.full((len(paths), max(map(len, paths)), classes), np.log((1 - sure) / classes))
    for row, path in enumerate(paths):
        logits[row, np.arange(len(path)), path] = np.log(sure)
    return logits.astype("float32")


def path_of(text, units):
    """Each unit for a step, and a blank after it."""
    return [number for unit in units.encode(text) for number in (unit, 0)]


def inputs_for(logits, assets):
    frames = logits.shape[1] * assets.subsampling
    return {"padding_mask": np.ones((len(logits), frames), "int32")}


def hear(logits, assets, *, best=1, **given):
    inputs = inputs_for(logits, assets)
    options = TranscriptionOptions(**given)
    return transcribe(inputs, lambda _: logits, assets, options, best=best)


@pytest.fixture
def doubtful():
    """Audio of ``anna``, with a weak h before it."""
    assets = make(ngrams=learn_language_model(TEXTS[1:2] * 5, 2))
    logits = logits_of([[0, *path_of("anna", assets.units)]], len(assets.units))
    logits[0, 0, assets.units.encode("h")[0]] = np.log(0.2)
    return logits, assets


def test_by_default_the_best_path_is_written(doubtful):
    heard = hear(*doubtful)
    assert [each[0].text for each in heard.found] == ["anna"]


def test_only_real_steps_are_read():
    assets = make()
    path = path_of("anna", assets.units)
    logits = logits_of([[*path, *path_of("hh", assets.units)]], len(assets.units))
    inputs = inputs_for(logits, assets)
    inputs["padding_mask"][0, 2 * len(path) :] = 0
    found = transcribe(inputs, lambda _: logits, assets, TranscriptionOptions()).found
    assert found[0][0].text == "anna"


@pytest.mark.parametrize(
    "given",
    [{"lm": "self", "lm_weight": 1.0}, {"hot_words": ["hanna:4"]}, {"lexicon": "self"}],
    ids=lambda given: next(iter(given)),
)
def test_what_is_known_of_the_words_decides_in_doubt(doubtful, given):
    assert hear(*doubtful, **given).found[0][0].text == "hanna"


def test_a_language_model_may_be_a_file(doubtful, tmp_path):
    from aitk.speech.decoding.ngram import write_arpa

    logits, assets = doubtful
    (tmp_path / "said.txt").write_text("hanna\n\nhanna\n", encoding="utf-8")
    write_arpa(assets.language_model, tmp_path / "said.arpa")
    for name in ("said.txt", "said.arpa"):
        heard = hear(logits, assets, lm=str(tmp_path / name), lm_weight=1.0)
        assert heard.found[0][0].text == "hanna"
    with pytest.raises(DataError, match="no such file"):
        hear(logits, assets, lm=str(tmp_path / "none.arpa"))


def test_a_lexicon_may_be_a_file(doubtful, tmp_path):
    (tmp_path / "words.txt").write_text("hanna 12\nhannah\n", encoding="utf-8")
    heard = hear(*doubtful, lexicon=str(tmp_path / "words.txt"))
    assert heard.found[0][0].text == "hanna"


def test_several_texts_come_best_first(doubtful):
    found = hear(*doubtful, best=3).found[0]
    assert [each.text for each in found][:2] == ["anna", "hanna"]
    assert found[0].score > found[1].score > found[2].score


def test_what_cannot_be_had_is_refused(doubtful):
    logits, assets = doubtful
    with pytest.raises(UsageError, match="greedy decoding cannot"):
        hear(logits, assets, beam=1, lm="self")
    bare = dataclasses.replace(assets, ngrams=None)
    for given in ({"lm": "self"}, {"lexicon": "self"}):
        with pytest.raises(UsageError, match="has no language model"):
            hear(logits, bare, **given)
    with pytest.raises(UsageError, match="the weight of 'hanna' is 'much'"):
        hear(logits, assets, hot_words=["hanna:much"])
    with pytest.raises(UsageError, match="whole recording at once"):
        hear(logits, assets, stream=True)


def test_both_heads_decide_together():
    assets = make(ctc_weight=0.5)
    logits = logits_of([[0, *path_of("anna", assets.units)]], len(assets.units))
    logits[0, 0, assets.units.encode("h")[0]] = np.log(0.2)
    likes = assets.units.encode("h")[0]

    def predict(inputs):
        """The decoder wants a text to begin with h."""
        rows, places = inputs["target_ids"].shape
        decoder = np.zeros((rows, places, len(assets.units)), "float32")
        decoder[:, 0, likes] = 9
        return np.concatenate([decoder, np.repeat(logits, rows, axis=0)], axis=1)

    inputs = inputs_for(logits, assets) | {"target_ids": np.zeros((1, 1), "int32")}
    plain = transcribe(inputs, predict, assets, TranscriptionOptions())
    np.testing.assert_array_equal(plain.logits, logits)
    assert plain.found[0][0].text == "anna"
    both = transcribe(inputs, predict, assets, TranscriptionOptions(beam=8), best=2)
    assert both.found[0][0].text == "hanna"
    assert len(both.found[0]) == 2


def test_phones_become_words_with_their_own_times():
    ways = {"two": [["T", "UW"]], "tea": [["T", "IY"], ["T", "EE"]]}
    units = learn_units(
        TEXTS, kind="phone", pronunciations={"two": ("T", "UW"), "tea": ("T", "IY")}
    )
    units = dataclasses.replace(units, symbols=(*units.symbols, "EE"))
    assets = make(units=units, pronunciations=ways)
    numbers = {symbol: at for at, symbol in enumerate(units.symbols)}
    path = [numbers[phone] for phone in ("T", "UW", "T", "EE")]
    heard = hear(logits_of([path], len(units)), assets)
    assert heard.found[0][0].text == "two tea"
    scores = log_softmax(heard.logits[0])
    words = timed_words(heard.found[0][0], scores, assets, lexicon=assets.lexicon)
    assert [(each["word"], each["start"], each["end"]) for each in words] == [
        ("two", 0.0, 0.04), ("tea", 0.04, 0.08),
    ]  # fmt: skip


def test_words_have_times_and_confidences():
    assets = make()
    path = path_of("anna hanna", assets.units)
    scores = log_softmax(logits_of([path], len(assets.units))[0])
    found = Hypothesis("anna hanna", 0.0, tuple(assets.units.encode("anna hanna")))
    first, second = timed_words(found, scores, assets)
    assert first["start"] == 0 and first["end"] == pytest.approx(7 * 0.02)
    assert second["start"] == pytest.approx(10 * 0.02)
    assert 0.85 < confidence_of([first, second], scores) < 0.95
    silence = log_softmax(logits_of([[0, 0]], len(assets.units))[0])
    assert confidence_of([], silence) == pytest.approx(0.9, abs=0.05)


def test_the_chart_of_an_alignment_has_its_words_and_units():
    from xml.etree import ElementTree

    assets = make()
    numbers = assets.units.encode("anna")
    scores = log_softmax(logits_of([path_of("anna", assets.units)], len(assets.units))[0])
    spans = force_align(scores, numbers)
    words = timed_words(Hypothesis("anna", 0.0, tuple(numbers)), scores, assets)
    samples = np.sin(np.arange(1400) / 3).astype("float32")
    root = ElementTree.fromstring(alignment_chart(samples, scores, spans, words, assets))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "anna" in texts and texts.count("n") == 2
    assert ElementTree.fromstring(alignment_chart(samples[:3], scores[:1], [], [], assets))


def test_assets_survive_saving(tmp_path):
    assets = make(ngrams=learn_language_model(TEXTS, 3), ctc_weight=0.3, chunk_frames=4)
    assets.save(tmp_path)
    again = load_ctc_assets(tmp_path)
    assert again.units == units_from(assets.units.as_json()) == assets.units
    assert (again.ctc_weight, again.chunk_frames, again.subsampling) == (0.3, 4, 2)
    assert again.language_model.vocabulary == {"anna", "hanna"}
    assert again.lexicon.words == assets.lexicon.words
    make().save(tmp_path / "bare")
    assert load_ctc_assets(tmp_path / "bare").language_model is None
