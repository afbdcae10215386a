"""Whisper's vocabulary: text and back, prompts, times, and files that contradict themselves."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whisper_folder import (
    CONFIG,
    END,
    ENGLISH,
    FIRST_TIME,
    FRENCH,
    GENERATION,
    NO_SPEECH,
    NO_TIMES,
    SIZE,
    SPECIAL,
    START,
    TRANSCRIBE,
    TRANSLATE,
    hub_preset,
    vocabulary,
    write_folder,
)

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.speech.features.tokenizers.whisper import (
    load_tokens,
    read_hub_tokens,
    read_hugging_face_tokens,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("whisper"), weights={})


@pytest.fixture(scope="module")
def tokens(folder):
    return read_hugging_face_tokens(folder, CONFIG)


def test_units_are_merged_and_a_text_begins_a_word(tokens):
    units, _ = vocabulary()
    assert tokens.encode("a tha") == [units["Ġa"], units["Ġ"], units["th"], units["a"]]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool))
def test_a_text_is_restored(tokens, text):
    assert tokens.decode(tokens.encode(text)) == text


def test_no_special_token_can_be_written_into_a_text(tokens):
    assert max(tokens.encode("<|endoftext|>")) < END


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"language": "fr"}, [START, FRENCH, TRANSCRIBE, NO_TIMES]),
        ({"language": "en", "translate": True}, [START, ENGLISH, TRANSLATE, NO_TIMES]),
        ({"language": None}, [START, -1, TRANSCRIBE, NO_TIMES]),
        ({"language": "fr", "times": True}, [START, FRENCH, TRANSCRIBE]),
    ],
)
def test_a_prompt_names_language_task_and_times(tokens, asked, expected):
    assert tokens.prompt(**{"translate": False, "times": False} | asked) == expected


def test_an_unknown_language_is_refused(tokens):
    with pytest.raises(UsageError, match="'de'"):
        tokens.prompt(language="de", translate=False, times=False)


def test_a_model_of_english_alone_has_a_short_prompt(tmp_path):
    generation = GENERATION | {"is_multilingual": False}
    write_folder(tmp_path, weights={}, generation=generation)
    tokens = read_hugging_face_tokens(tmp_path, CONFIG)
    assert tokens.prompt(language="en", translate=False, times=False) == [START, NO_TIMES]
    with pytest.raises(UsageError, match="English only"):
        tokens.prompt(language="fr", translate=False, times=False)


def test_times_are_steps_of_a_fiftieth(tokens):
    assert tokens.time_token(0.0) == FIRST_TIME
    assert tokens.time_token(1.02) == FIRST_TIME + 51
    assert tokens.time_token(99.0) == SIZE - 1
    assert tokens.time_of(FIRST_TIME + 51) == pytest.approx(1.02)
    assert tokens.time_of(END) is None


def test_unspoken_signs_are_never_written(tokens):
    units, _ = vocabulary()
    assert {units["#"], units["["], units["_"]} <= set(tokens.suppressed)
    assert {START, TRANSLATE, TRANSCRIBE, NO_SPEECH} <= set(tokens.suppressed)
    assert not {units["a"], units["."], units["-"], END, NO_TIMES} & set(tokens.suppressed)
    assert tokens.suppressed_first == (units["Ġ"], END)


def test_values_of_the_folder_override_derived_ones(tmp_path):
    write_folder(tmp_path, weights={}, generation=GENERATION | {"suppress_tokens": [3, 1]})
    assert read_hugging_face_tokens(tmp_path, CONFIG).suppressed == (3, 1)


def test_a_keras_hub_preset_holds_the_same(tokens, tmp_path):
    found = read_hub_tokens(hub_preset(tmp_path), size=SIZE)
    assert found.encode("that") == tokens.encode("that")
    assert (found.suppressed, found.languages) == (tokens.suppressed, tokens.languages)
    assert found.rules(9).alignment == ()  # it does not name them


def test_tokenizer_json_is_enough(tokens, tmp_path):
    units, merges = vocabulary()
    added = [{"content": name, "id": number} for name, number in SPECIAL.items()]
    saved = {"model": {"vocab": units, "merges": merges}, "added_tokens": added}
    (tmp_path / "tokenizer.json").write_text(json.dumps(saved))
    found = read_hugging_face_tokens(tmp_path, CONFIG | GENERATION)
    assert found == tokens
    assert found.encode("that") == tokens.encode("that")


def test_it_comes_back_from_disk(tokens, tmp_path):
    tokens.save(tmp_path)
    found = load_tokens(tmp_path)
    assert found == tokens
    assert found.encode("a that") == tokens.encode("a that")


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("that a", "en", [("that", 4), ("a", 1)]),
        ("no.", "en", [("no.", 4)]),
        ("ça là", "fr", [("ça", 4), ("là", 4)]),
        ("日本", "ja", [("日", 4), ("本", 3)]),
    ],
)
def test_pieces_are_words_with_their_punctuation(tokens, text, language, expected):
    found = tokens.pieces(tokens.encode(text), language=language)
    assert found == expected
    assert sum(count for _, count in found) == len(tokens.encode(text))


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("added_tokens.json", {"<|endoftext|>": END}, "lacks the special tokens"),
        ("added_tokens.json", SPECIAL | {"<|transcribe|>": 5}, "unknown order"),
        ("added_tokens.json", SPECIAL | {"<|notimestamps|>": SIZE}, "exceed"),
        ("vocab.json", {"a": SIZE}, "not in the range 0 to"),
        ("vocab.json", {"a": "b"}, "not in the range 0 to"),
        ("vocab.json", {"a": 0}, "tokeniser is damaged"),  # the merges need more
        ("generation_config.json", {"suppress_tokens": [SIZE]}, "not token numbers"),
        ("generation_config.json", {"suppress_tokens": "all"}, "not a list"),
        ("generation_config.json", {"alignment_heads": [[1]]}, "not 2 numbers"),
    ],
)
def test_files_that_contradict_themselves_are_refused(tmp_path, file, content, reason):
    write_folder(tmp_path, weights={})
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=reason):
        read_hugging_face_tokens(tmp_path, CONFIG)


@pytest.mark.parametrize("file", ["vocab.json", "merges.txt"])
def test_a_missing_file_is_named(tmp_path, file):
    write_folder(tmp_path, weights={})
    (tmp_path / file).unlink()
    with pytest.raises(ArtifactError, match=file):
        read_hugging_face_tokens(tmp_path, CONFIG)
