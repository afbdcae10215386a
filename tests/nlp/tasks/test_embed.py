"""Embedding from rows to predictions, each model small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aitk.core.artifacts.data import load_data
from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.nlp.data.options import EmbedReading
from aitk.nlp.features.embed_assets import EmbedAssets
from aitk.nlp.features.word_units import WordUnits
from aitk.nlp.tasks.embed import Embed, ScoredEmbed
from aitk.stages import options as stage_options
from aitk.stages.compress import compress

SAMPLES = Path(__file__).parents[3] / "sample_data"
PAIRS = {"pair_column": "pair", "text_column": "text"}
SCORED = PAIRS | {"score_column": "score"}


def prepared(folder, sample, **reading):
    from aitk.stages.prepare import prepare

    rows = (SAMPLES / sample).read_text(encoding="utf-8").splitlines(keepends=True)[:160]
    path = folder / sample
    path.write_text("".join(rows), encoding="utf-8")
    prepare(
        [str(path)],
        folder / "data",
        task="nlp.embed",
        options=stage_options.PrepareOptions(),
        reading=resolve(EmbedReading, reading),
        reporter=Silent(),
    )
    return load_data(folder / "data")


def trained(data, out, settings, **given):
    from aitk.core.artifacts.opening import open_task
    from aitk.registry import load_task
    from aitk.stages.training.train_run import train_run

    train_run(
        open_task(data, load_task),
        data,
        out,
        options=resolve(stage_options.TrainingOptions, given),
        settings=settings,
        reporter=Silent(),
    )
    return load_run(out)


def predicted(run, inputs, out, **given):
    from aitk.stages.predict import predict

    predict(
        run.folder,
        inputs,
        out=str(out),
        domain="nlp",
        options=resolve(stage_options.PredictOptions, {"top_k": 3}),
        predict_options=given,
        write=print,
        reporter=Silent(),
    )
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    data = prepared(folder, "sentences.txt")
    settings = {"dimension": 12, "min_count": 2, "epochs": 3}
    return trained(data, folder / "run", settings, model="word2vec")


def test_the_metric_follows_the_form_of_the_rows():
    task = Embed()
    assert task.for_reading(resolve(EmbedReading, PAIRS)).metric.name == "recall@1"
    assert isinstance(task.for_reading(resolve(EmbedReading, SCORED)), ScoredEmbed)


def test_a_text_is_embedded_as_the_mean_of_its_words(words, tmp_path):
    path = tmp_path / "new.txt"
    path.write_text("refund\nparcel\nrefund parcel\n")
    one, two, both = (
        row["prediction"] for row in predicted(words, [str(path)], tmp_path / "o.jsonl")
    )
    units = Embed().load_assets(words.folder / "assets").units
    shares = [units.weight(units.ids[word], 1e-3) for word in ("refund", "parcel")]
    expected = (np.array(one) * shares[0] + np.array(two) * shares[1]) / sum(shares)
    assert both == pytest.approx(expected, abs=1e-4)


def test_a_word_is_not_its_own_neighbour(words, tmp_path):
    (row,) = predicted(words, [], tmp_path / "o.jsonl", nearest="refund")
    assert len(row["nearest"]) == 3
    assert "refund" not in [found["text"] for found in row["nearest"]]


def test_a_text_is_found_in_a_file_that_holds_it(words, tmp_path):
    index = tmp_path / "texts.txt"
    index.write_text("Where is my refund?\nThe parcel is late.\nI want to cancel.\n")
    (row,) = predicted(
        words, [], tmp_path / "o.jsonl", nearest="The parcel is late.", index=str(index)
    )
    assert row["prediction"] == "The parcel is late."
    assert row["nearest"][0]["similarity"] == pytest.approx(1, abs=1e-5)


@pytest.mark.search
def test_approximate_search_finds_the_texts_of_exact_search(words, tmp_path):
    index = str(SAMPLES / "sentences.txt")
    asked = [str(SAMPLES / "sentences_new.txt")]
    exact, graph = (
        predicted(
            words, asked, tmp_path / f"{name}.jsonl", index=index, approximate=name == "graph"
        )
        for name in ("exact", "graph")
    )
    assert [row["prediction"] for row in graph] == [row["prediction"] for row in exact]


def test_approximate_search_needs_a_file_and_its_package(words, tmp_path, monkeypatch):
    from aitk.nlp.tasks import embed_search

    with pytest.raises(UsageError, match="--index"):
        predicted(words, [], tmp_path / "o.jsonl", nearest="refund", approximate=True)
    monkeypatch.setattr(embed_search.importlib.util, "find_spec", lambda name: None)
    index = str(SAMPLES / "sentences.txt")
    with pytest.raises(UsageError, match="needs usearch"):
        predicted(words, [], tmp_path / "o.jsonl", nearest="a", index=index, approximate=True)


def test_rows_come_from_files_or_from_an_option(words, tmp_path):
    with pytest.raises(UsageError, match="no rows given"):
        predicted(words, [], tmp_path / "o.jsonl")
    with pytest.raises(UsageError, match="either INPUT"):
        predicted(words, [str(SAMPLES / "sentences_new.txt")], tmp_path / "o.jsonl", nearest="a")


def test_analogies_and_scored_pairs_are_evaluated_on_a_run_of_plain_texts(words, tmp_path):
    from aitk.stages.evaluate import evaluate

    path = tmp_path / "questions.txt"
    path.write_text(": made up\nrefund parcel refund parcel\nrefund nowhere refund parcel\n")
    given = resolve(stage_options.EvaluateOptions, {"data": path, "resamples": 0})
    outcome = evaluate(words.folder, options=given, domain="nlp", reporter=Silent())
    assert outcome.facts["metrics"]["known"]["value"] == 0.5
    given = resolve(
        stage_options.EvaluateOptions, {"data": SAMPLES / "similar.tsv", "resamples": 0}
    )
    outcome = evaluate(words.folder, options=given, domain="nlp", reading=SCORED, reporter=Silent())
    assert outcome.facts["metrics"]["spearman"]["value"] > 0.2


@pytest.mark.usefixtures("small_transformers")
def test_an_encoder_learns_scored_pairs_and_becomes_a_static_table(tmp_path):
    data = prepared(tmp_path, "similar.tsv", **SCORED)
    small = {"vocabulary_size": 400, "size": "tiny", "max_length": 24}
    run = trained(data, tmp_path / "run", small, model="transformer", epochs=1)
    assert "spearman" in run.metrics["validation"]["metrics"]
    pair, alone = tmp_path / "pair.tsv", tmp_path / "alone.txt"
    pair.write_text("text\tpair\nI want a refund\tI want a refund\n")
    alone.write_text("I want a refund\n")
    assert predicted(run, [str(pair)], tmp_path / "p.jsonl")[0]["prediction"] == pytest.approx(
        1, abs=1e-5
    )
    static = trained(
        data, tmp_path / "static", {"dimension": 8}, model="static", from_=str(run.folder)
    )
    assert static.manifest["parent"] == str(run.folder)
    table = tmp_path / "alone.csv"
    table.write_text("text\nI want a refund\n")
    (row,) = predicted(static, [str(table)], tmp_path / "s.jsonl")
    assert np.linalg.norm(row["prediction"]) == pytest.approx(1, abs=1e-4)
    assert len(row["prediction"]) == 8
    small = compress(
        run.folder,
        tmp_path / "distilled",
        options=resolve(stage_options.CompressOptions, {"distill": "static", "resamples": 0}),
        training=resolve(stage_options.TrainingOptions),
        settings={"dimension": 8},
        reporter=Silent(),
    )
    assert small.facts["distilled_from"] == "transformer"
    assert small.table[1]["MB"] < small.table[0]["MB"]
    distilled = load_run(tmp_path / "distilled")
    assert predicted(distilled, [str(table)], tmp_path / "d.jsonl") == [row]


def test_the_halves_of_a_text_keep_its_frame_and_split_its_words():
    encoder = EmbedAssets("texts", 10, tokenizer=object())
    one, two = encoder.halves({"ids": np.array([101, 1, 2, 3, 102])})
    assert one["ids"].tolist() == [101, 1, 102]
    assert two["ids"].tolist() == [101, 2, 3, 102]
    words = EmbedAssets("texts", 10, units=WordUnits(("a", "b"), (1, 1), 2))
    one, two = words.halves({"ids": np.array([0, 1]), "weights": np.array([0.3, 0.7])})
    assert (one["ids"].tolist(), two["weights"].tolist()) == ([0], [0.7])


def test_in_training_a_text_without_a_partner_occurs_twice():
    task, assets = Embed(), EmbedAssets("texts", 10, units=WordUnits(("a", "b"), (1, 1), 2))
    examples = task.encode([{"text": "a b"}, {"text": "b"}], assets)
    batch = task.collate(examples, assets, rng=np.random.default_rng(0))
    assert batch.inputs["token_ids"].tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]
    assert len(task.collate(examples, assets).inputs["token_ids"]) == 2


def test_explaining_names_the_words_that_two_texts_share():
    task, assets = Embed(), EmbedAssets("pairs", 10, units=WordUnits(("a", "b"), (1, 1), 2))
    table = np.eye(2)

    def predict(rows):
        found = [assets.units.encode(row["text"], 10, sif=0) for row in rows]
        return np.array([(table[ids] * weights[:, None]).sum(0) for ids, weights in found])

    facts = task.explain({"text": "a b", "pair": "a"}, predict, assets)
    weights = {part["text"]: part["weight"] for part in facts["parts"]}
    assert weights["a"] > 0 > weights["b"]
