"""Whisper: weights from a Hugging Face folder, cached decoding, its rules, and training."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp
from whisper_folder import (
    CONFIG,
    END,
    ENGLISH,
    FIRST_TIME,
    FRENCH,
    NO_SPEECH,
    NO_TIMES,
    PLACES,
    SIZE,
    START,
    TRANSCRIBE,
    PlainWhisper,
    hub_preset,
    tensors,
    write_folder,
)

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.speech.data.audio import encode_audio
from aitk.speech.decoding.chunking import prompt_inputs
from aitk.speech.decoding.seq2seq_assets import load_seq2seq_assets
from aitk.speech.features.whisper import whisper_features
from aitk.speech.tasks.asr import Asr
from aitk.speech.tasks.settings import WhisperSettings

PLAIN_PROMPT = [START, ENGLISH, TRANSCRIBE, NO_TIMES]
TIMED_PROMPT = [START, ENGLISH, TRANSCRIBE]
TASK = Asr()
QUIET = {"time_masks": 0, "frequency_masks": 0}


def clip(seed: int, seconds: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal(round(16000 * seconds))).astype(np.float32)


def row(seed: int, text: str, seconds: float = 0.5) -> dict:
    samples = clip(seed, seconds)
    return {
        "audio": encode_audio(samples, 16000), "text": text, "speaker": "", "id": str(seed),
        "seconds": seconds, "start": 0.0,
    }  # fmt: skip


ROWS = [row(0, "a that"), row(1, "no")]
FEATURES = np.stack([whisper_features(clip(seed), filters=80) for seed in range(2)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("whisper"))


def open_folder(folder):
    from aitk.speech.models.seq2seq.sources import open_seq2seq

    config = json.loads((folder / "config.json").read_text())
    return open_seq2seq(folder, config, model="whisper", source=str(folder))


def build(assets, backbone):
    return TASK.models["whisper"].build(WhisperSettings(), assets, backbone=backbone)


@pytest.fixture(scope="module")
def found(folder):
    return open_folder(folder)


@pytest.fixture(scope="module")
def assets(found):
    settings = WhisperSettings(language="en", max_tokens=12, **QUIET)
    return TASK.learn(ROWS, {}, settings, start=found, note=print)


@pytest.fixture(scope="module")
def model(found, assets):
    return build(assets, found.backbone)


@pytest.fixture(scope="module")
def predict(model):
    from aitk.core.inference.predictors import KerasPredictor

    return KerasPredictor(model)


@pytest.fixture(scope="module")
def plain():
    """The oracle, and its transcripts of the two recordings."""
    network = PlainWhisper(tensors())
    return network, [network.listen(features) for features in FEATURES]


def write(predict, prompt, *, beams=1):
    return predict({"features": FEATURES} | prompt_inputs([prompt] * 2, beams=beams))


def test_features_are_those_of_keras_hub():
    import keras_hub

    convert = keras_hub.layers.WhisperAudioConverter()
    for count in (200, 16001, 479_999, 490_000):
        samples = clip(count, count / 16000)
        expected = np.asarray(convert(samples))
        np.testing.assert_allclose(whisper_features(samples, filters=80), expected, atol=1e-4)


def test_every_tensor_is_taken(found):
    assert sorted(found.loaded) == sorted(tensors())
    assert found.skipped == ()
    assert (found.model, found.kind, found.backbone.name) == ("whisper", "hugging-face", "backbone")


def test_the_network_matches_its_paper(model, plain):
    tokens = [*PLAIN_PROMPT, 5, 60, 7]
    inputs = {"features": FEATURES} | prompt_inputs([tokens] * 2, beams=1)
    logits = np.asarray(model(inputs, training=True))
    for number, heard in enumerate(plain[1]):
        expected = plain[0].logits(heard, tokens)
        np.testing.assert_allclose(logits[number], expected, atol=2e-4)


def allowed(logits, text, suppressed, first_suppressed, *, times):
    """The rules once more, one place at a time: log probabilities of what may follow ``text``."""
    scores = logits.astype(float).copy()
    scores[list(suppressed)] = -np.inf
    if not text:
        scores[list(first_suppressed)] = -np.inf
    if not times:
        scores[NO_TIMES:] = -np.inf
        return log_softmax(scores)
    scores[NO_TIMES] = -np.inf
    is_time = [token >= FIRST_TIME for token in text]
    if is_time and is_time[-1]:
        if len(text) == 1 or is_time[-2]:
            scores[FIRST_TIME:] = -np.inf
        else:
            scores[:END] = -np.inf
    if any(is_time):
        latest = max(token for token in text if token >= FIRST_TIME)
        open_again = is_time[-1] and len(text) > 1 and not is_time[-2]
        scores[FIRST_TIME : latest + (not open_again)] = -np.inf
    if not text:
        scores[:FIRST_TIME] = -np.inf
        scores[FIRST_TIME + 51 :] = -np.inf
    chances = log_softmax(scores)
    if logsumexp(chances[FIRST_TIME:]) > chances[:FIRST_TIME].max():
        scores[:FIRST_TIME] = -np.inf
    return log_softmax(scores)


@pytest.mark.parametrize("times", [False, True])
def test_cached_decoding_writes_what_whole_passes_would(predict, plain, assets, times):
    prompt = TIMED_PROMPT if times else PLAIN_PROMPT
    outputs = write(predict, prompt)
    tokens, network = assets.tokens, plain[0]
    for number, heard in enumerate(plain[1]):
        text, chances = [], []
        while len(prompt) + len(text) < assets.max_length and END not in text:
            scores = allowed(
                network.logits(heard, prompt + text)[-1], text,
                tokens.suppressed, tokens.suppressed_first, times=times,
            )  # fmt: skip
            text.append(int(scores.argmax()))
            chances.append(scores.max())
        written = outputs["token_ids"][number, 0].astype(int).tolist()
        assert written[: len(prompt) + len(text)] == prompt + text
        told = outputs["log_probabilities"][number, 0, len(prompt) : len(prompt) + len(text)]
        np.testing.assert_allclose(told, chances, atol=1e-3)


def test_the_chance_of_silence_and_the_language_come_from_the_first_place(predict, plain):
    outputs = write(predict, [START, -1, TRANSCRIBE, NO_TIMES])
    for number, heard in enumerate(plain[1]):
        logits = plain[0].logits(heard, [START])[0]
        expected = np.exp(log_softmax(logits.astype(float)))[NO_SPEECH]
        assert outputs["no_speech"][number] == pytest.approx(expected, rel=1e-3)
        language = max((ENGLISH, FRENCH), key=lambda token: logits[token])
        assert outputs["token_ids"][number, 0, 1] == language


def test_a_wider_search_finds_no_worse_text(predict):
    narrow, wide = write(predict, PLAIN_PROMPT), write(predict, PLAIN_PROMPT, beams=4)
    assert wide["token_ids"].shape[1] == 4
    for number in range(2):
        sums = wide["log_probabilities"][number].sum(axis=1)
        assert sums.max() >= narrow["log_probabilities"][number, 0].sum() - 1e-4
        texts = {tuple(line) for line in wide["token_ids"][number].tolist()}
        assert len(texts) == 4


def test_attention_is_a_share_of_the_sound_for_every_token(predict):
    attention = write(predict, PLAIN_PROMPT)["attention"]
    assert attention.shape == (2, 16, 1500)
    np.testing.assert_allclose(attention.sum(axis=2), 1.0, atol=1e-4)


def test_a_prediction_holds_text_words_and_the_n_best(predict, assets):
    unlabelled = [{key: each[key] for key in each if key != "text"} for each in ROWS]
    unlabelled[1]["start"] = 5.0
    batch = TASK.collate(TASK.encode(unlabelled, assets), assets)
    found = TASK.infer(batch, predict, assets, top_k=2)
    first, second = TASK.decode(batch, found, assets, top_k=2)
    assert first["top_k"][0]["text"] == first["text"]
    assert len(first["top_k"]) == 2
    assert first["language"] == "en"
    assert 0 <= first["confidence"] <= 1
    assert all(5.0 <= word["start"] <= word["end"] <= 5.5 for word in second["words"])


def test_a_model_saved_and_loaded_writes_the_same(model, predict, tmp_path):
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.inference.predictors import KerasPredictor

    model.save(tmp_path / "model.keras")
    loaded = KerasPredictor(load_keras(tmp_path / "model.keras"))
    expected, again = write(predict, TIMED_PROMPT), write(loaded, TIMED_PROMPT)
    for name, array in expected.items():
        np.testing.assert_allclose(again[name], array, atol=1e-5)


def test_a_keras_hub_preset_writes_the_same(found, assets, predict, tmp_path):
    from aitk.core.inference.predictors import KerasPredictor

    hub_preset(tmp_path / "preset")
    found.backbone.save_to_preset(str(tmp_path / "preset"))
    preset = open_folder(tmp_path / "preset")
    assert (preset.kind, preset.model) == ("hub", "whisper")
    settings = WhisperSettings(language="en", max_tokens=12)
    own = TASK.learn(ROWS, {}, settings, start=preset, note=print)
    other = KerasPredictor(build(own, preset.backbone))
    expected, again = write(predict, PLAIN_PROMPT), write(other, PLAIN_PROMPT)
    np.testing.assert_array_equal(again["token_ids"], expected["token_ids"])


def test_a_run_brings_its_vocabulary_along(found, assets, tmp_path):
    import dataclasses

    from aitk.speech.models.seq2seq.sources import adopt_seq2seq

    assets.save(tmp_path)
    run = dataclasses.replace(found, kind="run", folder=tmp_path, tokenizer=None)
    assert adopt_seq2seq(run).tokenizer == found.tokenizer


def test_only_the_text_and_its_end_are_taught():
    from aitk.speech.tasks.seq2seq_recogniser import teacher_forcing

    read, targets = teacher_forcing([[5, 6], [7]], [1, 2, 3], end=9)
    assert read.tolist() == [[1, 2, 3, 5, 6], [1, 2, 3, 7, 9]]
    assert targets.tolist() == [[-1, -1, 5, 6, 9], [-1, -1, 7, 9, -1]]


def test_the_loss_is_the_mean_over_the_text(model):
    from aitk.speech.models.seq2seq.generation import TokenCrossEntropy

    logits = np.log(np.array([[[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]]], np.float32))
    loss = TokenCrossEntropy()(np.array([[-1, 1, 0]]), logits)
    assert float(loss) == pytest.approx(-(np.log(0.75) + np.log(0.9)) / 2)


def test_times_of_training_are_where_speech_begins_and_ends(assets):
    import dataclasses

    timed = dataclasses.replace(assets, times=True)
    samples = np.concatenate([np.zeros(16000), clip(0, 1.0), np.zeros(16000)]).astype("float32")
    example = TASK.encode([ROWS[0] | {"audio": encode_audio(samples, 16000)}], timed)[0]
    batch = TASK.collate([example], timed, rng=np.random.default_rng(0))
    text = [token for token in batch.targets[0] if token >= 0]
    assert timed.tokens.time_of(text[0]) == pytest.approx(0.9, abs=0.03)
    assert timed.tokens.time_of(text[-2]) == pytest.approx(2.1, abs=0.03)
    assert text[-1] == END


def test_rows_that_cannot_be_learned_have_no_weight_and_are_noted(assets, found):
    long = row(3, "no", seconds=30.5)
    wordy = row(4, "word after word")
    batch = TASK.collate(
        TASK.encode([ROWS[0], long, wordy], assets),
        assets,
        rng=np.random.default_rng(0),
    )
    assert batch.weights.tolist() == [1.0, 0.0, 0.0]
    notes: list[str] = []
    settings = WhisperSettings(language="en", max_tokens=12)
    TASK.learn([ROWS[0], long, wordy], {}, settings, start=found, note=notes.append)
    assert "2 rows" in notes[0]


def test_an_open_language_cannot_be_learned(found):
    assets = TASK.learn(ROWS, {}, WhisperSettings(), start=found, note=print)
    examples = TASK.encode(ROWS, assets)
    with pytest.raises(UsageError, match="language"):
        TASK.collate(examples, assets, rng=np.random.default_rng(0))


def test_without_a_source_there_is_nothing_to_start_from():
    with pytest.raises(UsageError, match="--from"):
        TASK.learn(ROWS, {}, WhisperSettings(), start=None, note=print)


def test_assets_come_back_from_disk(assets, tmp_path):
    assets.save(tmp_path)
    assert load_seq2seq_assets(tmp_path) == assets


def test_low_rank_training_lowers_the_loss_and_merges(folder, assets, predict):
    import keras

    from aitk.core.inference.predictors import KerasPredictor
    from aitk.core.training.lora import add_adapters, merged_copy

    model = build(assets, open_folder(folder).backbone)
    config = model.get_config()
    assert add_adapters(model.get_layer("backbone"), rank=2)
    examples = TASK.encode(ROWS, assets)
    batch = TASK.collate(examples, assets, rng=np.random.default_rng(0))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=TASK.models["whisper"].loss(assets))
    losses = [float(model.train_on_batch(batch.inputs, batch.targets)) for _ in range(8)]
    assert losses[-1] < losses[0] - 0.1
    merged = merged_copy(model, config)
    expected = np.asarray(model(batch.inputs, training=True))
    np.testing.assert_allclose(merged(batch.inputs, training=True), expected, atol=1e-3)
    taught = write(KerasPredictor(merged), PLAIN_PROMPT)
    before = write(predict, PLAIN_PROMPT)
    assert not np.array_equal(taught["log_probabilities"], before["log_probabilities"])


def changed(**arrays):
    return {name: array for name, array in (tensors() | arrays).items() if array is not None}


NAME = "model.decoder.layers.1.encoder_attn.v_proj.weight"


@pytest.mark.parametrize(
    ("weights", "config", "reason"),
    [
        (changed(**{NAME: None}), {}, "lacks 1 tensors.*encoder_attn.v_proj"),
        (changed(**{NAME: np.zeros((4, 4), np.float32)}), {}, r"\(4, 4\), not"),
        (changed(**{NAME: np.full((8, 8), np.nan, np.float32)}), {}, "not finite"),
        (changed(**{"proj_out.weight": np.ones((SIZE, 8), np.float32)}), {}, "proj_out"),
        (None, {"decoder_layers": 1}, "same number in both"),
        (None, {"encoder_layers": 3, "decoder_layers": 3}, "2 encoder layers"),
        (None, {"vocab_size": 10**9}, "embed_tokens"),
        (None, {"d_model": "8"}, "not a number"),
        (None, {"activation_function": "relu"}, "relu"),
        (None, {"scale_embedding": True}, "scaled embeddings"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(tmp_path, weights, config, reason):
    write_folder(tmp_path, weights=weights, config=CONFIG | config)
    with pytest.raises(ArtifactError, match=reason):
        open_folder(tmp_path)


def test_a_tied_head_is_loaded_and_unknown_weights_are_reported(tmp_path):
    head = {"proj_out.weight": tensors()["model.decoder.embed_tokens.weight"]}
    write_folder(tmp_path, weights=changed(**head, **{"model.extra": np.ones(2, np.float32)}))
    found = open_folder(tmp_path)
    assert "proj_out.weight" in found.loaded
    assert found.skipped == (("model.extra", "Whisper has no such weight"),)


def test_damaged_and_missing_weights_are_reported(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense")
    with pytest.raises(ArtifactError, match="cannot be read as a model"):
        open_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match="has no model.safetensors"):
        open_folder(tmp_path)


def test_shards_are_read_and_stay_inside_their_folder(tmp_path):
    from safetensors.numpy import save_file

    write_folder(tmp_path)
    whole = tensors()
    (tmp_path / "model.safetensors").unlink()
    halves = {"a.safetensors": sorted(whole)[::2], "b.safetensors": sorted(whole)[1::2]}
    for file, names in halves.items():
        save_file({name: whole[name] for name in names}, tmp_path / file)
    places = {name: file for file, names in halves.items() for name in names}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert len(open_folder(tmp_path).loaded) == len(whole)
    index.write_text(json.dumps({"weight_map": {"x": "../b.safetensors"}}))
    with pytest.raises(ArtifactError, match="is missing"):
        open_folder(tmp_path)


def test_rules_come_back_from_json(assets):
    import dataclasses

    from aitk.speech.decoding.token_rules import rules_from

    rules = assets.tokens.rules(PLACES)
    assert rules_from(json.loads(json.dumps(dataclasses.asdict(rules)))) == rules
