"""Whisper's vocabulary: text to tokens and back, prompts, times, and suppressed tokens.

The special tokens follow the text tokens in the same order in every release: start of transcript,
languages, translate, transcribe, start of LM, start of previous text, no speech, no timestamps, and
one token per 0.02 s from 0 to 30 s (Radford et al. 2023, section 2.3 and figure 1).

"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.options import unknown_name
from aitk.core.io.files import write_json
from aitk.core.io.json_files import read_json
from aitk.speech.decoding.token_rules import Rules

if TYPE_CHECKING:
    import tokenizers

ENGINE, FILE = "tokenizer.json", "whisper.json"
START, END = "<|startoftranscript|>", "<|endoftext|>"
TRANSLATE, TRANSCRIBE, NO_TIMES = "<|translate|>", "<|transcribe|>", "<|notimestamps|>"
NAMED = (START, END, TRANSLATE, TRANSCRIBE, NO_TIMES)
#: Languages without spaces between words.
UNSPACED = ("zh", "ja", "th", "lo", "my", "yue")
TIME_STEP_S = 0.02
MOST_TIMES = 1501
#: Placeholder in a prompt for the language that the model detects.
ANY_LANGUAGE = -1
#: Non-speech symbols in subtitles, alone and after a space.
NOT_SAID = (
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("', "((", "))", "(((", ")))"),
    *("[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
)
MUSIC = "♩♪♫♬♭♮♯"  # suppressed by first byte, since they are encoded as bytes


@dataclass(frozen=True)
class WhisperTokens:
    """The vocabulary of a Whisper model.

    Attributes:
        engine: byte-pair encoding of text; it has no special tokens, so a transcript cannot contain
            one.
        numbers: numbers of the five special tokens ``NAMED``.
        languages: code (``en``) -> number; empty for English-only models.
        size: vocabulary size of the model.
        suppressed: tokens never decoded.
        suppressed_first: tokens never decoded first.
        alignment_heads: (layer, head) of the decoder attention heads that align with the audio.
    """

    engine: tokenizers.Tokenizer = field(compare=False)
    numbers: Mapping[str, int]
    languages: Mapping[str, int]
    size: int
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]
    alignment_heads: tuple[tuple[int, int], ...] = ()

    @property
    def end(self) -> int:
        """The end-of-text token. All text tokens come before it."""
        return self.numbers[END]

    @property
    def no_times(self) -> int:
        return self.numbers[NO_TIMES]

    @property
    def no_speech(self) -> int:
        return self.no_times - 1

    @property
    def first_time(self) -> int:
        """The token of 0.00 s."""
        return self.no_times + 1

    def encode(self, text: str) -> list[int]:
        """The tokens of a text that starts at a word boundary."""
        return self.engine.encode(" " + text.strip()).ids

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, without special tokens and times."""
        return self.engine.decode([each for each in tokens if each < self.end]).strip()

    def pieces(self, tokens: Sequence[int], *, language: str) -> list[tuple[str, int]]:
        """The words of a text with their token counts; for languages without spaces, its
        characters."""
        spaced = language not in UNSPACED
        words: list[tuple[str, int]] = []
        waiting: list[int] = []
        for token in tokens:
            waiting.append(token)
            piece = self.engine.decode(waiting)
            if "\ufffd" in piece or not (spaced or piece.strip()):
                continue  # an incomplete multi-token character, or only a space
            if words and spaced and not piece.startswith(" "):
                words[-1] = (words[-1][0] + piece, words[-1][1] + len(waiting))
            else:
                words.append((piece, len(waiting)))
            waiting = []
        if waiting:
            words.append((self.engine.decode(waiting), len(waiting)))
        return [(word.strip(), count) for word, count in words]

    def rules(self, max_length: int) -> Rules:
        """The decoding constraints for at most ``max_length`` tokens, including the prompt."""
        return Rules(
            end=self.end,
            size=self.size,
            max_length=max_length,
            suppressed=self.suppressed,
            suppressed_first=self.suppressed_first,
            languages=tuple(self.languages.values()),
            no_times=self.no_times,
            no_speech=self.no_speech,
            alignment=self.alignment_heads,
        )

    def prompt(self, *, language: str | None, translate: bool, times: bool) -> list[int]:
        """The decoder input before the text.

        Args:
            language: a code such as ``en``; None: detected by the model.
            translate: translate into English.
            times: predict segment times.

        Raises:
            UsageError: the language is unknown, or the model supports only English.
        """
        found = [self.numbers[START]]
        if self.languages:
            if language is not None and language not in self.languages:
                raise unknown_name(language, self.languages, what="language")
            found.append(ANY_LANGUAGE if language is None else self.languages[language])
            found.append(self.numbers[TRANSLATE if translate else TRANSCRIBE])
        elif language not in (None, "en") or translate:
            raise UsageError(
                "this model supports English only, without translation",
                where=f"language {language}" if language else "translate",
            )
        return found if times else [*found, self.no_times]

    def language_of(self, prompt: Sequence[int]) -> str:
        """The language in a completed prompt."""
        codes = {number: code for code, number in self.languages.items()}
        return next((codes[token] for token in prompt if token in codes), "en")

    def time_token(self, seconds: float) -> int:
        """The token of a time within the window; later times get the last one."""
        step = round(max(0.0, seconds) / TIME_STEP_S)
        return min(self.first_time + step, self.size - 1)

    def time_of(self, token: int) -> float | None:
        """The time of a token in seconds, or None."""
        return (token - self.first_time) * TIME_STEP_S if token >= self.first_time else None

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` and ``whisper.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ENGINE).write_text(self.engine.to_str(), encoding="utf-8")
        write_json(
            folder / FILE,
            {
                "numbers": dict(self.numbers),
                "languages": dict(self.languages),
                "size": self.size,
                "suppressed": list(self.suppressed),
                "suppressed_first": list(self.suppressed_first),
                "alignment_heads": [list(each) for each in self.alignment_heads],
            },
        )


def load_tokens(folder: Path) -> WhisperTokens:
    """Read a vocabulary written by ``WhisperTokens.save``.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    import tokenizers

    values = _object(folder / FILE)
    with _damage_at(folder / ENGINE):
        engine = tokenizers.Tokenizer.from_file(str(folder / ENGINE))
    try:
        return WhisperTokens(
            engine=engine,
            numbers=values["numbers"],
            languages=values["languages"],
            size=values["size"],
            suppressed=tuple(values["suppressed"]),
            suppressed_first=tuple(values["suppressed_first"]),
            alignment_heads=tuple((layer, head) for layer, head in values["alignment_heads"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"is damaged ({error})", where=str(folder / FILE)) from error


def read_hugging_face_tokens(folder: Path, config: Mapping[str, Any]) -> WhisperTokens:
    """The vocabulary of a Hugging Face folder: ``tokenizer.json``, or ``vocab.json`` with
    ``merges.txt`` and ``added_tokens.json``; plus ``generation_config.json``.

    Raises:
        ArtifactError: a file is missing, damaged, or contradicts the configuration.
    """
    size = config["vocab_size"]
    saved = folder / ENGINE
    if saved.is_file():
        values = read_json(saved)
        try:
            units, merges = values["model"]["vocab"], values["model"]["merges"]
            added = {item["content"]: item["id"] for item in values["added_tokens"]}
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"is damaged ({error})", where=str(saved)) from error
    else:
        saved = folder / "vocab.json"
        units, merges = _object(saved), _merges(folder / "merges.txt")
        more = folder / "added_tokens.json"
        added = _object(more) if more.is_file() else {}
    path = folder / "generation_config.json"
    generation = dict(config) | (read_json(path) if path.is_file() else {})
    return _tokens(
        units,
        merges,
        {**units, **added} if isinstance(units, dict) else added,
        size=size,
        multilingual=generation.get("is_multilingual"),
        suppressed=generation.get("suppress_tokens"),
        suppressed_first=generation.get("begin_suppress_tokens"),
        alignment_heads=generation.get("alignment_heads"),
        where=saved,
    )


def read_hub_tokens(folder: Path, *, size: int) -> WhisperTokens:
    """The vocabulary of a Keras Hub preset.

    Args:
        size: vocabulary size of the model.

    Raises:
        ArtifactError: a file is missing, damaged, or contradicts the model.
    """
    described = read_json(folder / "tokenizer.json").get("config")
    assets = folder / "assets" / "tokenizer"
    if not isinstance(described, dict):
        raise ArtifactError("describes no tokeniser", where=str(folder / "tokenizer.json"))
    languages = described.get("language_tokens") or {}
    special = described.get("special_tokens") or {}
    if not isinstance(languages, dict) or not isinstance(special, dict):
        raise ArtifactError("describes no special tokens", where=str(folder / "tokenizer.json"))
    return _tokens(
        _object(assets / "vocabulary.json"),
        _merges(assets / "merges.txt"),
        {**special, **languages},
        size=size,
        multilingual=bool(languages),
        where=assets / "vocabulary.json",
    )


def _tokens(
    units: Any,
    merges: Any,
    special: Mapping[str, Any],
    *,
    size: int,
    multilingual: bool | None,
    suppressed: Any = None,
    suppressed_first: Any = None,
    alignment_heads: Any = None,
    where: Path,
) -> WhisperTokens:
    """Validate the contents of files, and derive missing values."""
    if not isinstance(units, dict) or not all(
        isinstance(number, int) and 0 <= number < size for number in units.values()
    ):
        raise ArtifactError(f"token numbers are not in the range 0 to {size - 1}", where=str(where))
    numbers: dict[str, Any] = {name: special.get(name) for name in NAMED}
    if not all(isinstance(each, int) and 0 <= each < size - 1 for each in numbers.values()):
        missing = [name for name, each in numbers.items() if not isinstance(each, int)]
        raise ArtifactError(
            f"lacks the special tokens {', '.join(missing)}" if missing
            else "its special tokens exceed the model's vocabulary",
            where=str(where),
        )  # fmt: skip
    start, end, last = numbers[START], numbers[END], numbers[NO_TIMES]
    if not end < start < numbers[TRANSLATE] == last - 5 < numbers[TRANSCRIBE] == last - 4:
        raise ArtifactError("its special tokens have an unknown order", where=str(where))
    if multilingual is None:
        multilingual = end != 50256  # English-only models use the vocabulary of GPT-2
    languages = {
        name[2:-2]: number
        for name, number in sorted(special.items(), key=lambda item: str(item[0]))
        if multilingual and isinstance(number, int) and start < number < numbers[TRANSLATE]
    }
    engine = _engine(units, merges, end, where)
    if suppressed is None:
        suppressed = [*_not_said(engine), start, *range(last - 5, last)]
    if suppressed_first is None:
        suppressed_first = [*engine.encode(" ").ids, end]
    return WhisperTokens(
        engine=engine,
        numbers=numbers,
        languages=languages,
        size=min(size, last + 1 + MOST_TIMES),
        suppressed=_checked(suppressed, size, where),
        suppressed_first=_checked(suppressed_first, size, where),
        alignment_heads=tuple(
            _checked(pair, size, where, length=2) for pair in _list(alignment_heads or [], where)
        ),
    )


def _engine(units: dict[str, int], merges: Any, end: int, where: Path) -> tokenizers.Tokenizer:
    """GPT-2's byte-level encoding (Radford et al. 2019, section 2.2)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    text = {unit: number for unit, number in units.items() if number < end}
    with _damage_at(where):
        pairs = [tuple(each.split(" ") if isinstance(each, str) else each) for each in merges]
        engine = Tokenizer(models.BPE(vocab=text, merges=pairs))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    return engine


def _not_said(engine: tokenizers.Tokenizer) -> list[int]:
    """The tokens of non-speech symbols; a dash or apostrophe only at the start of a word."""
    found = {ids[0] for text in (" -", " '") if (ids := engine.encode(text).ids)}
    for sign in (*NOT_SAID, *MUSIC):
        for text in (sign, " " + sign):
            ids = engine.encode(text).ids
            if len(ids) == 1 or (ids and sign in MUSIC):
                found.add(ids[0])
    return sorted(found)


def _merges(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot be read ({error})", where=str(path)) from error
    return [line for line in lines if line and not line.startswith("#version")]


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ArtifactError(f"{path.name} is missing", where=str(path.parent))
    return read_json(path)


def _list(value: Any, where: Path) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ArtifactError(f"{value!r} is not a list of tokens", where=str(where))
    return list(value)


def _checked(value: Any, size: int, where: Path, length: int | None = None) -> tuple[Any, ...]:
    """Validate token numbers below ``size``, in file order."""
    found = _list(value, where)
    if not all(isinstance(each, int) and 0 <= each < size for each in found):
        raise ArtifactError(f"{found[:5]}... are not token numbers", where=str(where))
    if length is not None and len(found) != length:
        raise ArtifactError(f"{found} are not {length} numbers", where=str(where))
    return tuple(found)


@contextlib.contextmanager
def _damage_at(path: Path) -> Iterator[None]:
    """Convert errors of ``tokenizers`` for inconsistent vocabularies to ``ArtifactError``."""
    try:
        yield
    except Exception as error:  # the library raises no more specific error
        raise ArtifactError(f"the tokeniser is damaged ({error})", where=str(path)) from error
