"""The table of tasks: those of aitk, and those of other installed packages.

A package adds tasks and models through entry points (``core.contract.entry_points``,
docs/adding-a-task.md). Standard library only, since every help text reads it.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aitk.core.contract.entry_points import (
    MODEL_GROUP,
    TASK_GROUP,
    Plugin,
    PluginError,
    Table,
    load,
    plugins,
)
from aitk.core.contract.options import unknown_name

if TYPE_CHECKING:
    from aitk.core.contract.model_spec import AnyModel
    from aitk.core.contract.task import Task

DOMAINS = {
    "speech": "audio: keywords, speech recognition, pretraining",
    "nlp": "text: classification, translation, language models, pretraining",
    "vision": "images: classification, detection, segmentation, pretraining",
    "recsys": "recommendation: top-N lists and ratings from a log",
}


@dataclass(frozen=True)
class Row:
    """One task: its class, the options that say how its rows are read, an example to try.

    Attributes:
        task: ``module:Class`` of the task.
        reading: ``module:Class`` of its reading options (light to import).
        summary: one-line summary.
        sample: its rows in ``sample_data/``; ``NAME_new`` and ``NAME_update`` are next to it.
        objective: it is a pretraining objective (``pretrain``) rather than a task (``finetune``).
        options: options of ``prepare`` for the sample.
        training: options for quick training on the sample; by default those of the model.
        sidecar_files: further files of the sample.
        predict_options: ``module:Class`` of its predict options (light to import), if it has any.
        flags: ``module:Class`` of those settings of its models that are separate flags, besides
            ``--set`` (light to import), if it has any.
        samples: the folder of its sample rows; None for aitk's own. The registry fills it in for
            other packages: ``sample_data`` next to the module of this row.
    """

    task: str
    reading: str
    summary: str
    sample: str
    objective: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, str] = field(default_factory=dict)
    sidecar_files: tuple[str, ...] = ()
    predict_options: str | None = None
    flags: str | None = None
    samples: str | None = None


BUILT_IN = {
    "speech.keywords": Row(
        task="aitk.speech.tasks.keywords:Keywords",
        reading="aitk.speech.data.options:LabelledAudioReading",
        summary="one label for a short recording: words, commands",
        sample="sample_data/commands.csv",
        options={"sample_rate_hz": "8000"},
        sidecar_files=("sample_data/commands.flac",),
    ),
    "speech.asr": Row(
        task="aitk.speech.tasks.asr:Asr",
        reading="aitk.speech.data.options:TranscribedAudioReading",
        predict_options="aitk.speech.data.options:TranscriptionOptions",
        summary="speech recognition: transcripts of recordings",
        sample="sample_data/requests.csv",
        sidecar_files=("sample_data/requests.flac",),
    ),
    "speech.masked-speech": Row(
        task="aitk.speech.tasks.masked_speech:MaskedSpeech",
        reading="aitk.speech.data.options:UnlabelledAudioReading",
        summary="masked speech on recordings without labels (BEST-RQ, Chiu et al. 2022)",
        sample="sample_data/voices.csv",
        objective=True,
        options={"sample_rate_hz": "8000"},
        sidecar_files=("sample_data/commands.flac", "sample_data/requests.flac"),
    ),
    "nlp.classify": Row(
        task="aitk.nlp.tasks.classify:Classify",
        reading="aitk.nlp.data.options:ClassifyReading",
        flags="aitk.nlp.tasks.settings:EmbeddingFlags",
        summary="one label for a text: topic, sentiment, intent",
        sample="sample_data/messages.csv",
        options={"label_column": "intent"},
    ),
    "nlp.tag": Row(
        task="aitk.nlp.tasks.tag:Tag",
        reading="aitk.nlp.data.options:TagReading",
        flags="aitk.nlp.tasks.settings:EmbeddingFlags",
        summary="a tag for each word: entities, parts of speech",
        sample="sample_data/orders.jsonl",
        training={"epochs": "20"},
    ),
    "nlp.qa": Row(
        task="aitk.nlp.tasks.qa:QuestionAnswering",
        reading="aitk.nlp.data.options:QaReading",
        predict_options="aitk.nlp.data.options:QaPredictOptions",
        summary="the span of a text that answers a question",
        sample="sample_data/questions.jsonl",
    ),
    "nlp.score": Row(
        task="aitk.nlp.tasks.score:Score",
        reading="aitk.nlp.data.options:ScoreReading",
        flags="aitk.nlp.tasks.settings:EmbeddingFlags",
        summary="a number for a text, such as a star rating: regression",
        sample="sample_data/ratings.csv",
    ),
    "nlp.embed": Row(
        task="aitk.nlp.tasks.embed:Embed",
        reading="aitk.nlp.data.options:EmbedReading",
        predict_options="aitk.nlp.data.options:EmbedOptions",
        summary="a vector for a word or a text: similarity, search, word analogies",
        sample="sample_data/sentences.txt",
        sidecar_files=("sample_data/similar.tsv",),
    ),
    "nlp.masked-lm": Row(
        task="aitk.nlp.tasks.masked_lm:MaskedLanguageModel",
        reading="aitk.nlp.data.options:TextReading",
        summary="masked language model on unlabelled text (BERT, Devlin et al. 2018)",
        sample="sample_data/manual.txt",
        objective=True,
    ),
    "nlp.denoise": Row(
        task="aitk.nlp.tasks.denoise:Denoise",
        reading="aitk.nlp.data.options:TextReading",
        summary="denoising pretraining of encoder-decoders (BART, T5)",
        sample="sample_data/manual.txt",
        training={"epochs": "2", "set": "size=tiny"},
        objective=True,
    ),
    "nlp.generate": Row(
        task="aitk.nlp.tasks.generate:Generate",
        reading="aitk.nlp.data.options:GenerateReading",
        predict_options="aitk.nlp.data.options:GenerationOptions",
        summary="language model that continues a text (GPT, Radford et al. 2019)",
        sample="sample_data/handbook.txt",
    ),
    "nlp.translate": Row(
        task="aitk.nlp.tasks.translate:Translate",
        reading="aitk.nlp.data.options:TranslateReading",
        predict_options="aitk.nlp.data.options:TranslateOptions",
        summary="translation of sentences into another language",
        sample="sample_data/translations.tsv",
        training={"epochs": "12", "set": "size=tiny"},
    ),
    "vision.classify": Row(
        task="aitk.vision.tasks.classify:Classify",
        reading="aitk.vision.data.options:ClassifyImages",
        flags="aitk.vision.models.settings:ImageFlags",
        summary="one label for an image",
        sample="sample_data/surfaces.zip",
    ),
    "vision.score": Row(
        task="aitk.vision.tasks.score:Score",
        reading="aitk.vision.data.options:ScoreImages",
        flags="aitk.vision.models.settings:ImageFlags",
        summary="a number for an image, such as wear: regression",
        sample="sample_data/wear.zip",
        options={"label_column": "damaged_percent"},
    ),
    "vision.detect": Row(
        task="aitk.vision.tasks.detect:Detect",
        reading="aitk.vision.data.options:DetectImages",
        predict_options="aitk.vision.data.options:DetectPredictOptions",
        flags="aitk.vision.models.settings:ImageFlags",
        summary="object detection: boxes and classes",
        sample="sample_data/parts.zip",
        training={"epochs": "15", "image_size": "80x96", "set": "strides=4,8,16"},
    ),
    "vision.segment": Row(
        task="aitk.vision.tasks.segment:Segment",
        reading="aitk.vision.data.options:SegmentImages",
        predict_options="aitk.vision.data.options:SegmentPredictOptions",
        flags="aitk.vision.models.settings:ImageFlags",
        summary="the class of every pixel",
        sample="sample_data/coatings.zip",
        training={"epochs": "12", "image_size": "64"},
    ),
    "vision.multitask": Row(
        task="aitk.vision.tasks.multitask:Multitask",
        reading="aitk.vision.data.options:MultitaskImages",
        predict_options="aitk.vision.data.options:DetectPredictOptions",
        flags="aitk.vision.models.settings:ImageFlags",
        summary="label, boxes and mask of an image from one network",
        sample="sample_data/castings.zip",
        training={"epochs": "15", "image_size": "64", "set": "strides=4,8,16"},
    ),
    "vision.masked-image": Row(
        task="aitk.vision.tasks.masked_image:MaskedImage",
        reading="aitk.vision.data.options:UnlabelledImages",
        predict_options="aitk.vision.data.options:MaskedImagePredictOptions",
        flags="aitk.vision.models.settings:ImageFlags",
        summary="masked images without labels (MAE, He et al. 2022; SparK, Tian et al. 2023)",
        sample="sample_data/steel.zip",
        training={"epochs": "12", "image_size": "64"},
        objective=True,
    ),
    "recsys.recommend": Row(
        task="aitk.recsys.tasks.recommend:Recommend",
        reading="aitk.recsys.data.options:RecommendReading",
        predict_options="aitk.recsys.data.options:RecommendOptions",
        summary="the next items of a user, from a log of choices",
        sample="sample_data/shop_events.csv",
        options={"items": "sample_data/shop_items.csv"},
        sidecar_files=("sample_data/shop_items.csv",),
    ),
    "recsys.rate": Row(
        task="aitk.recsys.tasks.rate:Rate",
        reading="aitk.recsys.data.options:RateReading",
        summary="the rating of an item by a user, from a log of ratings",
        sample="sample_data/shop_ratings.csv",
    ),
    "recsys.masked-items": Row(
        task="aitk.recsys.tasks.masked_items:MaskedItems",
        reading="aitk.recsys.data.options:RecommendReading",
        predict_options="aitk.recsys.data.options:RecommendOptions",
        summary="masked or next items on logs without targets (BERT4Rec, Sun et al. 2019)",
        sample="sample_data/shop_visits.txt",
        objective=True,
    ),
}

#: Commands that only one domain has: ``module:function`` of each (light to import).
COMMANDS = {
    "speech": {"record": "aitk.speech.commands:record"},
    "nlp": {"generate": "aitk.nlp.commands:generate"},
    "vision": {"export": "aitk.vision.commands:export"},
}
#: Kind of value -> the task whose domain has encoders of it, and which opens those of texts.
ENCODERS = {"text": "nlp.classify", "picture": "vision.classify", "audio": "speech.keywords"}


def _task_row(plugin: Plugin, row: Any) -> Row:
    """The row that an entry point stands for; what help texts import of it is tried."""
    if not isinstance(row, Row):
        raise plugin.error(f"{plugin.value} is no aitk.registry.Row")
    domain, _, short = plugin.name.partition(".")
    if domain not in DOMAINS or not short:
        raise plugin.error(f"its name is not DOMAIN.TASK, with a domain of {', '.join(DOMAINS)}")
    for path in filter(None, (row.reading, row.predict_options, row.flags)):
        plugin.running(lambda path=path: load(path))  # type: ignore[misc]
    folder = os.path.dirname(os.path.abspath(sys.modules[plugin.module].__file__ or ""))
    return dataclasses.replace(row, samples=os.path.join(folder, "sample_data"))


#: Name -> row, of aitk's tasks and of those of other packages.
TASKS: Table[Row] = Table(
    BUILT_IN, lambda: [(plugin.name, plugin) for plugin in plugins(TASK_GROUP)], _task_row
)


def load_task(name: str) -> Task:
    """The task of this name, ready to use, with the models that other packages add to it.

    Raises:
        UsageError: there is no such task.
        PluginError: it is of another package, and cannot be used.
    """
    if name not in TASKS:
        raise unknown_name(name, TASKS, what="task")
    row, plugin = TASKS[name], TASKS.plugin(name)
    if plugin is None:
        task = load(row.task)()
    else:
        task = plugin.running(lambda: load(row.task)())
        if getattr(task, "name", None) != name:
            raise plugin.error(f"{row.task} is not a task of that name")
    _add_models(type(task), name)
    return task


def model_plugins(task: str) -> list[tuple[str, Plugin]]:
    """The models that other packages add to a task, by name."""
    named = [(plugin.name.partition(":"), plugin) for plugin in plugins(MODEL_GROUP)]
    return [(model, plugin) for (of, _, model), plugin in named if of == task and model]


def plugin_errors() -> list[PluginError]:
    """What cannot be used of other packages, and why. Loads every task."""
    found = TASKS.errors()
    for name in TASKS:
        try:
            models = load_task(name).models
        except PluginError as error:
            found.append(error)
        else:
            found += models.errors() if isinstance(models, Table) else []
    for plugin in plugins(MODEL_GROUP):
        task, _, model = plugin.name.partition(":")
        if not model:
            found.append(plugin.error("its name is not TASK:MODEL"))
        elif not TASKS.has(task):
            found.append(plugin.error(f"there is no task {task!r}"))
    return found


def names(domain: str, *, objective: bool | None = None) -> list[str]:
    """The names of a domain's tasks; only objectives, or only the others, where asked."""
    return [
        name
        for name, row in TASKS.items()
        if name.startswith(f"{domain}.") and objective in (None, row.objective)
    ]


def full_name(domain: str, task: str) -> str:
    """``classify`` -> ``nlp.classify``, refusing what the domain does not have."""
    name = f"{domain}.{task}"
    if name not in TASKS:
        short = [known.partition(".")[2] for known in names(domain)]
        raise unknown_name(task, short, what=f"{domain} task")
    return name


def _add_models(task: type[Task], name: str) -> None:
    """Let a task's table of models hold those of other packages, once."""
    if model_plugins(name) and not isinstance(vars(task).get("models"), Table):
        task.models = Table(task.models, lambda: model_plugins(name), _model)


def _model(plugin: Plugin, spec: Any) -> AnyModel:
    """The model that an entry point stands for."""
    from aitk.core.contract.model_spec import ClosedFormModel, TrainedModel

    if not isinstance(spec, TrainedModel | ClosedFormModel):
        raise plugin.error(f"{plugin.value} is no TrainedModel or ClosedFormModel")
    return spec
