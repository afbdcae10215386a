"""Every task with the capabilities that take its assets.

mypy reads this file too: a method that takes other assets than those of its task is an error in the
line of its class.
"""

from __future__ import annotations

import inspect

import pytest

from aitk.core.contract import capabilities
from aitk.core.contract.capabilities import (
    Bundled,
    Calibrates,
    Configurable,
    DistillsBatches,
    DistillsRows,
    DistillsUnlabelled,
    Ensemblable,
    Explainable,
    Generative,
    Grouped,
    HasBaselines,
    JoinsRows,
    LanguageModelling,
    Packs,
    PrunesVocabulary,
    SourceFree,
    Updatable,
)
from aitk.nlp.features.assets import TextAssets
from aitk.nlp.features.causal import CausalAssets
from aitk.nlp.features.embed_assets import EmbedAssets
from aitk.nlp.features.passages import QaAssets
from aitk.nlp.features.tag_assets import TagAssets
from aitk.nlp.tasks import classify as texts
from aitk.nlp.tasks.denoise import Denoise, DenoisingAssets
from aitk.nlp.tasks.embed import Embed, ScoredEmbed
from aitk.nlp.tasks.generate import Generate
from aitk.nlp.tasks.masked_lm import MaskedAssets, MaskedLanguageModel
from aitk.nlp.tasks.qa import QuestionAnswering
from aitk.nlp.tasks.score import Score, TextScoreAssets
from aitk.nlp.tasks.tag import Tag
from aitk.nlp.tasks.translate import Translate, TranslationAssets
from aitk.recsys.features.assets import LogAssets
from aitk.recsys.tasks.masked_items import MaskedItems
from aitk.recsys.tasks.rate import Rate
from aitk.recsys.tasks.recommend import Recommend
from aitk.registry import TASKS, load_task
from aitk.speech.features.assets import AudioAssets
from aitk.speech.tasks.asr import Asr, AsrAssets
from aitk.speech.tasks.keywords import Keywords, MultiLabelKeywords
from aitk.speech.tasks.masked_speech import MaskedSpeech, MaskedSpeechAssets
from aitk.vision.features.assets import ImageAssets
from aitk.vision.tasks import classify as images
from aitk.vision.tasks import score as image_scores
from aitk.vision.tasks.detect import Detect
from aitk.vision.tasks.masked_image import MaskedImage
from aitk.vision.tasks.multitask import Multitask
from aitk.vision.tasks.segment import Segment


class SpeechKeywords(
    Keywords,
    Bundled[AudioAssets],
    Explainable[AudioAssets],
    DistillsRows[AudioAssets],
    DistillsUnlabelled[AudioAssets],
    HasBaselines[AudioAssets],
    SourceFree[AudioAssets],
    Updatable[AudioAssets],
): ...


class SpeechMultiLabelKeywords(
    MultiLabelKeywords,
    Bundled[AudioAssets],
    Explainable[AudioAssets],
    Calibrates[AudioAssets],
    DistillsRows[AudioAssets],
    DistillsUnlabelled[AudioAssets],
    HasBaselines[AudioAssets],
    SourceFree[AudioAssets],
    Updatable[AudioAssets],
): ...


class SpeechAsr(
    Asr,
    Configurable[AsrAssets],
    Explainable[AsrAssets],
    Generative[AsrAssets],
    DistillsRows[AsrAssets],
    DistillsUnlabelled[AsrAssets],
    HasBaselines[AsrAssets],
    Updatable[AsrAssets],
): ...


class SpeechMaskedSpeech(MaskedSpeech, Explainable[MaskedSpeechAssets]): ...


class NlpClassify(
    texts.Classify,
    Bundled[TextAssets],
    Ensemblable[TextAssets],
    Explainable[TextAssets],
    DistillsRows[TextAssets],
    DistillsUnlabelled[TextAssets],
    HasBaselines[TextAssets],
    PrunesVocabulary[TextAssets],
    Updatable[TextAssets],
): ...


class NlpMultiLabelClassify(
    texts.MultiLabelClassify,
    Bundled[TextAssets],
    Explainable[TextAssets],
    Calibrates[TextAssets],
    DistillsRows[TextAssets],
    DistillsUnlabelled[TextAssets],
    HasBaselines[TextAssets],
    PrunesVocabulary[TextAssets],
    SourceFree[TextAssets],
    Updatable[TextAssets],
): ...


class NlpTag(
    Tag,
    Explainable[TagAssets],
    Generative[TagAssets],
    DistillsRows[TagAssets],
    DistillsUnlabelled[TagAssets],
    HasBaselines[TagAssets],
    Updatable[TagAssets],
): ...


class NlpQuestionAnswering(
    QuestionAnswering,
    Configurable[QaAssets],
    Explainable[QaAssets],
    Generative[QaAssets],
    Calibrates[QaAssets],
    HasBaselines[QaAssets],
    Updatable[QaAssets],
): ...


class NlpScore(
    Score, Explainable[TextScoreAssets], HasBaselines[TextScoreAssets], Updatable[TextScoreAssets]
): ...


class NlpEmbed(
    Embed,
    Configurable[EmbedAssets],
    Explainable[EmbedAssets],
    Generative[EmbedAssets],
    HasBaselines[EmbedAssets],
    Updatable[EmbedAssets],
): ...


class NlpScoredEmbed(
    ScoredEmbed,
    Configurable[EmbedAssets],
    Explainable[EmbedAssets],
    Generative[EmbedAssets],
    HasBaselines[EmbedAssets],
    Updatable[EmbedAssets],
): ...


class NlpMaskedLanguageModel(
    MaskedLanguageModel, Explainable[MaskedAssets], HasBaselines[MaskedAssets]
): ...


class NlpDenoise(Denoise, HasBaselines[DenoisingAssets]): ...


class NlpGenerate(
    Generate,
    Explainable[CausalAssets],
    Generative[CausalAssets],
    LanguageModelling[CausalAssets],
    DistillsBatches[CausalAssets],
    HasBaselines[CausalAssets],
    JoinsRows[CausalAssets],
    Packs[CausalAssets],
    Updatable[CausalAssets],
): ...


class NlpTranslate(
    Translate,
    Explainable[TranslationAssets],
    Generative[TranslationAssets],
    HasBaselines[TranslationAssets],
    Updatable[TranslationAssets],
): ...


class VisionClassify(
    images.Classify,
    Bundled[ImageAssets],
    Ensemblable[ImageAssets],
    Explainable[ImageAssets],
    DistillsBatches[ImageAssets],
    DistillsUnlabelled[ImageAssets],
    HasBaselines[ImageAssets],
    JoinsRows[ImageAssets],
    Updatable[ImageAssets],
): ...


class VisionMultiLabelClassify(
    images.MultiLabelClassify,
    Bundled[ImageAssets],
    Explainable[ImageAssets],
    Calibrates[ImageAssets],
    DistillsBatches[ImageAssets],
    DistillsRows[ImageAssets],
    DistillsUnlabelled[ImageAssets],
    HasBaselines[ImageAssets],
    JoinsRows[ImageAssets],
    SourceFree[ImageAssets],
    Updatable[ImageAssets],
): ...


class VisionScore(
    image_scores.Score,
    Explainable[ImageAssets],
    HasBaselines[ImageAssets],
    JoinsRows[ImageAssets],
    Updatable[ImageAssets],
): ...


class VisionDetect(
    Detect,
    Bundled[ImageAssets],
    Explainable[ImageAssets],
    DistillsBatches[ImageAssets],
    DistillsUnlabelled[ImageAssets],
    JoinsRows[ImageAssets],
    Updatable[ImageAssets],
): ...


class VisionSegment(
    Segment,
    Bundled[ImageAssets],
    Configurable[ImageAssets],
    Explainable[ImageAssets],
    Generative[ImageAssets],
    DistillsBatches[ImageAssets],
    DistillsUnlabelled[ImageAssets],
    HasBaselines[ImageAssets],
    JoinsRows[ImageAssets],
    Updatable[ImageAssets],
): ...


class VisionMultitask(
    Multitask,
    Explainable[ImageAssets],
    DistillsBatches[ImageAssets],
    DistillsUnlabelled[ImageAssets],
    HasBaselines[ImageAssets],
    JoinsRows[ImageAssets],
    Updatable[ImageAssets],
): ...


class VisionMaskedImage(MaskedImage, JoinsRows[ImageAssets], Updatable[ImageAssets]): ...


class RecsysRecommend(
    Recommend,
    Bundled[LogAssets],
    Explainable[LogAssets],
    Grouped[LogAssets],
    HasBaselines[LogAssets],
    Updatable[LogAssets],
): ...


class RecsysRate(
    Rate, Explainable[LogAssets], Grouped[LogAssets], HasBaselines[LogAssets], Updatable[LogAssets]
): ...


class RecsysMaskedItems(
    MaskedItems,
    Bundled[LogAssets],
    Explainable[LogAssets],
    Grouped[LogAssets],
    HasBaselines[LogAssets],
    Updatable[LogAssets],
): ...


CHECKED = [
    each
    for each in list(globals().values())
    if inspect.isclass(each) and each.__module__ == __name__
]
#: The capabilities whose methods take assets.
GENERIC = [
    each
    for each in vars(capabilities).values()
    if inspect.isclass(each) and getattr(each, "__parameters__", False)
]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_checked(name: str) -> None:
    assert any(issubclass(each, type(load_task(name))) for each in CHECKED)


@pytest.mark.parametrize("checked", CHECKED, ids=lambda each: each.__name__)
def test_every_capability_of_a_task_is_checked(checked: type) -> None:
    task, *named = checked.__bases__
    held = {each for each in GENERIC if isinstance(task(), each)}
    assert held == {each for each in GENERIC if any(issubclass(base, each) for base in named)}
