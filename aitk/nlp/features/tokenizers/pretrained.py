"""Reads tokenisers saved by Hugging Face and Keras Hub into one common form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import ArtifactError
from aitk.core.io.json_files import read_json
from aitk.nlp.features.tokenizers.loading import damage_at, read_engine
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer, framed

if TYPE_CHECKING:
    import tokenizers

#: Special tokens before and after a text, by family of models.
FRAMES = {
    "bert": ("[CLS]", "[SEP]"),
    "distilbert": ("[CLS]", "[SEP]"),
    "electra": ("[CLS]", "[SEP]"),
    "roformerv2": ("[CLS]", "[SEP]"),
    "albert": ("[CLS]", "[SEP]"),
    "fnet": ("[CLS]", "[SEP]"),
    "debertav3": ("[CLS]", "[SEP]"),
    "roberta": ("<s>", "</s>"),
    "xlmroberta": ("<s>", "</s>"),
    "bart": ("<s>", "</s>"),
    "t5": ("", "</s>"),
}
#: A space and a newline in byte-level BPE. Rare bytes may be missing.
BYTE_MARKS = {"Ġ", "Ċ"}
DIGITS = set("0123456789")
#: Decoders, which read a text without special tokens.
UNFRAMED = ("gpt2", "gptneox", "opt", "llama", "mistral", "qwen2", "qwen3", "smollm3", "phi3")
SENTENCEPIECE_FILES = ("spiece.model", "spm.model", "sentencepiece.bpe.model", "tokenizer.model")


def read_hugging_face_tokenizer(folder: Path, config: Mapping[str, Any]) -> SubwordTokenizer:
    """Read ``tokenizer.json``, or else the vocabulary files of the model's family.

    Raises:
        ArtifactError: a file is missing or damaged, or the family is unknown.
    """
    saved = folder / "tokenizer.json"
    if saved.is_file():
        return SubwordTokenizer(_with_byte_level(read_engine(_read(saved), where=saved)))
    settings_path = folder / "tokenizer_config.json"
    settings = read_json(settings_path) if settings_path.is_file() else {}
    family = _family(str(config.get("model_type", "")))
    if family in UNFRAMED and (folder / "vocab.json").is_file():
        return _unframed(folder, _special_tokens(folder, settings))
    if (folder / "vocab.txt").is_file():
        lowercase = bool(settings.get("do_lower_case", True))
        accents = settings.get("strip_accents")
        return _wordpiece(
            folder / "vocab.txt",
            family,
            lowercase=lowercase,
            strip_accents=lowercase if accents is None else bool(accents),
            split_chinese=bool(settings.get("tokenize_chinese_chars", True)),
        )
    if (folder / "vocab.json").is_file():
        return _byte_bpe(folder / "vocab.json", folder / "merges.txt", family)
    for name in SENTENCEPIECE_FILES:
        if (folder / name).is_file():
            lowercase = family == "albert" and bool(settings.get("do_lower_case", True))
            return _sentencepiece(folder / name, family, lowercase=lowercase)
    raise ArtifactError("contains no tokeniser", where=str(folder))


def read_hub_tokenizer(folder: Path) -> SubwordTokenizer:
    """Read the tokeniser of a Keras Hub preset.

    Raises:
        ArtifactError: a file is missing or damaged, or the family is unknown.
    """
    described = read_json(folder / "tokenizer.json")
    name, config = str(described.get("class_name", "")), described.get("config", {})
    family = _family(name.removesuffix("Tokenizer"))
    assets = folder / "assets" / "tokenizer"
    if (assets / "vocabulary.txt").is_file():
        # Uncased vocabularies have no accents, although Keras Hub's own tokeniser keeps them.
        lowercase = bool(config.get("lowercase"))
        return _wordpiece(
            assets / "vocabulary.txt",
            family,
            lowercase=lowercase,
            strip_accents=lowercase or bool(config.get("strip_accents")),
            split_chinese=True,
        )
    if (assets / "vocabulary.json").is_file():
        return _byte_bpe(assets / "vocabulary.json", assets / "merges.txt", family)
    if (assets / "vocabulary.spm").is_file():
        return _sentencepiece(assets / "vocabulary.spm", family, lowercase=False)
    raise ArtifactError("contains no vocabulary", where=str(assets))


def _family(name: str) -> str:
    family = name.lower().replace("-", "").replace("_", "")
    family = {"debertav2": "debertav3"}.get(family, family)
    if family not in (*FRAMES, *UNFRAMED):
        raise ArtifactError(
            f"the special tokens of {name!r} are unknown",
            hint="Use a Hugging Face folder with tokenizer.json",
        )
    return family


def _wordpiece(
    path: Path, family: str, *, lowercase: bool, strip_accents: bool, split_chinese: bool
) -> SubwordTokenizer:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    lines = _read(path).split("\n")
    vocabulary = {line.rstrip("\r"): index for index, line in enumerate(lines) if line}
    engine = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    engine.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=split_chinese,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )
    engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    engine.decoder = decoders.WordPiece()
    return _finished(engine, family, ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), path)


def _byte_bpe(vocabulary: Path, merges: Path, family: str) -> SubwordTokenizer:
    engine = _byte_engine(vocabulary, merges)
    if family in UNFRAMED:
        return SubwordTokenizer(engine)
    return _finished(engine, family, ("<pad>", "<unk>", "<s>", "</s>", "<mask>"), vocabulary)


def _unframed(folder: Path, special: Mapping[str, int | None]) -> SubwordTokenizer:
    """The byte-level BPE of a decoder, with the special tokens of its folder."""
    from tokenizers import AddedToken

    engine = _byte_engine(folder / "vocab.json", folder / "merges.txt")
    # Ids beyond the vocabulary follow the order of calls: keep the folder's order.
    named = sorted(special, key=lambda token: (special[token] is None, special[token] or 0))
    engine.add_special_tokens([AddedToken(token, normalized=False) for token in named])
    wrong = [token for token in named if special[token] not in (None, engine.token_to_id(token))]
    if wrong:
        raise ArtifactError(
            f"the token {wrong[0]} is not at the end of the vocabulary", where=str(folder)
        )
    return SubwordTokenizer(engine)


def _special_tokens(folder: Path, settings: Mapping[str, Any]) -> dict[str, int | None]:
    """Special tokens of a folder without ``tokenizer.json``, with their ids."""
    found: dict[str, int | None] = {}
    added = settings.get("added_tokens_decoder")
    for index, token in (added if isinstance(added, dict) else {}).items():
        if isinstance(token, dict) and isinstance(token.get("content"), str) and index.isdecimal():
            found[token["content"]] = int(index)
    if (folder / "added_tokens.json").is_file():
        for content, index in read_json(folder / "added_tokens.json").items():
            if isinstance(index, int):
                found.setdefault(content, index)
    path = folder / "special_tokens_map.json"
    for source in (settings, read_json(path) if path.is_file() else {}):
        for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
            value = source.get(name)
            value = value.get("content") if isinstance(value, dict) else value
            if isinstance(value, str):
                found.setdefault(value, None)
    return found


def _with_byte_level(engine: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """The same tokeniser; byte-level BPE saved only as vocabulary and merges is split and joined as
    in Radford et al. 2019. Files converted from GGUF are an example."""
    from tokenizers import models

    bare = engine.pre_tokenizer is None and engine.normalizer is None
    is_pairs = isinstance(engine.model, models.BPE)
    if bare and is_pairs and set(engine.get_vocab(with_added_tokens=False)) >= BYTE_MARKS:
        _split_bytes(engine)
    return engine


def _split_bytes(engine: tokenizers.Tokenizer) -> None:
    """Use byte-level steps; a vocabulary of single digits also splits digits."""
    from tokenizers import decoders, pre_tokenizers

    known = engine.get_vocab(with_added_tokens=False)
    byte_level: Any = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if not any(set(token) & DIGITS for token in known if len(token) > 1):
        digits = pre_tokenizers.Digits(individual_digits=True)
        byte_level = pre_tokenizers.Sequence([digits, byte_level])
    engine.pre_tokenizer = byte_level
    engine.decoder = decoders.ByteLevel()


def _byte_engine(vocabulary: Path, merges: Path) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer, models

    lines = [line for line in _read(merges).splitlines() if line and not line.startswith("#ver")]
    try:
        units = json.loads(_read(vocabulary))
        pairs = [(first, second) for first, second in (line.split(" ") for line in lines)]
    except ValueError as error:
        raise ArtifactError(f"is damaged ({error})", where=str(vocabulary)) from error
    with damage_at(vocabulary):
        engine = Tokenizer(models.BPE(vocab=units, merges=pairs))
    _split_bytes(engine)
    return engine


def _sentencepiece(path: Path, family: str, *, lowercase: bool) -> SubwordTokenizer:
    """A SentencePiece unigram model (Kudo 2018) as the same model of ``tokenizers``."""
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    messages: Any = sentencepiece_model_pb2  # which creates its classes on import
    saved = messages.ModelProto()
    try:
        saved.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ArtifactError(f"is damaged ({error})", where=str(path)) from error
    pieces = [(piece.piece, piece.score) for piece in saved.pieces]
    if saved.trainer_spec.model_type != 1 or not pieces:
        raise ArtifactError("is not a SentencePiece unigram model", where=str(path))
    unknown = saved.trainer_spec.unk_id
    if family == "xlmroberta":
        # Fairseq's order: its four first, then the pieces after SentencePiece's three.
        own = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
        pieces, unknown = [*own, *pieces[3:]], 3
    with damage_at(path):
        engine = Tokenizer(models.Unigram(pieces, unk_id=unknown, byte_fallback=False))
    steps: list[Any] = []
    if family == "albert":
        steps += [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if lowercase:
        steps += [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    if saved.normalizer_spec.precompiled_charsmap:
        with damage_at(path):
            steps.append(normalizers.Precompiled(saved.normalizer_spec.precompiled_charsmap))
    steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    engine.normalizer = normalizers.Sequence(steps)
    engine.pre_tokenizer = pre_tokenizers.Metaspace()
    engine.decoder = decoders.Metaspace()
    names = {
        "xlmroberta": ("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
        "t5": ("<pad>", "<unk>", "</s>"),
        "debertav3": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    }.get(family, ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"))
    return _finished(engine, family, names, path)


def _finished(
    engine: tokenizers.Tokenizer, family: str, special: Sequence[str], path: Path
) -> SubwordTokenizer:
    """Declare the special tokens and add those of its family around each text."""
    first, last = FRAMES[family]
    # A missing mask token is appended to the vocabulary, as in the training of these models.
    absent = [name for name in special if engine.token_to_id(name) is None]
    if set(absent) - {"[MASK]", "<mask>", "<unk>"}:
        raise ArtifactError(f"lacks the token {absent[0]}", where=str(path))
    engine.add_special_tokens(list(special))
    engine.post_processor = framed(engine, first, last)
    return SubwordTokenizer(engine)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot be read ({error})", where=str(path)) from error
