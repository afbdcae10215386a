"""Vocabularies of other libraries, compared with those libraries."""

from __future__ import annotations

import json

import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.nlp.features.tokenizers.pretrained import read_hub_tokenizer, read_hugging_face_tokenizer

UNCASED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "deja", "vu", "un", "##seen", "!", "中"]


def write_uncased(folder, **settings):
    (folder / "vocab.txt").write_text("\n".join(UNCASED) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def words(tokenizer, text):
    return tokenizer.engine.encode(text).tokens


def test_an_uncased_vocabulary_is_read_without_accents(tmp_path):
    write_uncased(tmp_path, do_lower_case=True, strip_accents=None)
    tokenizer = read_hugging_face_tokenizer(tmp_path, {"model_type": "bert"})
    assert words(tokenizer, "Déjà VU unseen!中") == [
        "[CLS]", "deja", "vu", "un", "##seen", "!", "中", "[SEP]",
    ]  # fmt: skip
    assert (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.mask_id) == (0, 1, 4)


def test_a_cased_vocabulary_keeps_case_and_accents(tmp_path):
    write_uncased(tmp_path, do_lower_case=False)
    tokenizer = read_hugging_face_tokenizer(tmp_path, {"model_type": "bert"})
    assert words(tokenizer, "Déjà vu")[1:-1] == ["[UNK]", "vu"]


def test_the_files_own_word_on_accents_counts(tmp_path):
    write_uncased(tmp_path, do_lower_case=True, strip_accents=False)
    tokenizer = read_hugging_face_tokenizer(tmp_path, {"model_type": "bert"})
    assert words(tokenizer, "Déjà VU")[1:-1] == ["[UNK]", "vu"]


def test_a_keras_hub_uncased_vocabulary_loses_its_accents_too(tmp_path):
    assets = tmp_path / "assets" / "tokenizer"
    assets.mkdir(parents=True)
    (assets / "vocabulary.txt").write_text("\n".join(UNCASED), encoding="utf-8")
    described = {
        "class_name": "BertTokenizer",
        "config": {"lowercase": True, "strip_accents": False},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    assert words(read_hub_tokenizer(tmp_path), "Déjà")[1:-1] == ["deja"]


def test_byte_pairs_are_framed_as_roberta_frames_them(tmp_path):
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "Ġ", "ab", "Ġab"]
    (tmp_path / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(vocabulary)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\nĠ ab\n", encoding="utf-8")
    tokenizer = read_hugging_face_tokenizer(tmp_path, {"model_type": "roberta"})
    assert words(tokenizer, "ab ab") == ["<s>", "ab", "Ġab", "</s>"]
    assert (tokenizer.pad_id, tokenizer.mask_id) == (1, 4)
    assert tokenizer.decode([0, 8, 9, 2]) == "ab ab"


@pytest.fixture(scope="module")
def byte_pairs():
    """A byte-level BPE like SmolLM's: digits are separate, and two tokens mark messages."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    engine = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    engine.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_end|>"],
        show_progress=False,
    )
    engine.train_from_iterator([*TEXTS, "room 12 costs  34\n\n"] * 3, trainer)
    return engine


@pytest.mark.parametrize("kept", ["tokenizer.json without rules", "vocab.json and merges.txt"])
def test_a_decoders_byte_pairs_are_read_from_vocabulary_and_merges(byte_pairs, tmp_path, kept):
    saved = json.loads(byte_pairs.to_str())
    if kept.startswith("tokenizer.json"):
        saved |= {"pre_tokenizer": None, "decoder": None}
        (tmp_path / "tokenizer.json").write_text(json.dumps(saved))
    else:
        special = {token["content"]: token["id"] for token in saved["added_tokens"]}
        vocabulary = {k: v for k, v in saved["model"]["vocab"].items() if k not in special}
        (tmp_path / "vocab.json").write_text(json.dumps(vocabulary | special))
        merges = [" ".join(pair) for pair in saved["model"]["merges"]]
        (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges))
        config = {"eos_token": "<|im_end|>", "bos_token": {"content": "<|endoftext|>"}}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = read_hugging_face_tokenizer(tmp_path, {"model_type": "llama"})
    for text in [*TEXTS, "a  12<|im_end|>\n3.5", "\n\n x"]:
        ids = byte_pairs.encode(text).ids
        assert tokenizer.encode_bare([text], 128) == [ids]
        assert tokenizer.engine.decode(ids) == byte_pairs.decode(ids)
    assert tokenizer.special_ids == {0, 1}
    assert (tokenizer.start_id, tokenizer.end_id) == (0, 0)


TEXTS = [
    "The parcel arrived broken, please send a new one!",
    "  spaces   everywhere  ",
    "café naïve ﬁ ½ Ⅷ",
    "包裹坏了 全角ＡＢＣ",
    "unknown ☃ snow",
    "",
]


@pytest.fixture(scope="module")
def spm(tmp_path_factory):
    """A small SentencePiece model, and that library's own reading of it."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("spm")
    corpus = [f"{text} {number}" for text in TEXTS for number in range(40)]

    def train(name: str, **changes):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus),
            model_prefix=str(folder / name),
            vocab_size=120,
            hard_vocab_limit=False,
            minloglevel=2,
            **changes,
        )
        path = (folder / f"{name}.model").rename(folder / name)
        return path, sentencepiece.SentencePieceProcessor(model_file=str(path))

    return train


def test_sentencepiece_ids_are_that_librarys(spm, tmp_path):
    path, reference = spm(
        "spm.model", pad_id=0, unk_id=3, bos_id=1, eos_id=2, pad_piece="[PAD]",
        bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]",
    )  # fmt: skip
    path.rename(tmp_path / "spm.model")
    tokenizer = read_hugging_face_tokenizer(tmp_path, {"model_type": "deberta-v2"})
    for text in TEXTS:
        [ids] = tokenizer.encode_many([text], 128)
        assert ids == [1, *reference.encode(text), 2]
    assert tokenizer.mask_id == reference.get_piece_size()  # added at the end
    assert tokenizer.decode(tokenizer.encode_many([TEXTS[0]], 128)[0]) == TEXTS[0]


def test_xlm_roberta_shifts_the_ids(spm, tmp_path):
    path, reference = spm("sentencepiece.bpe.model")  # <unk> 0, <s> 1, </s> 2
    path.rename(tmp_path / "sentencepiece.bpe.model")
    tokenizer = read_hugging_face_tokenizer(tmp_path, {"model_type": "xlm-roberta"})
    for text in TEXTS:
        shifted = [index + 1 if index else 3 for index in reference.encode(text)]
        assert tokenizer.encode_many([text], 128) == [[0, *shifted, 2]]
    assert tokenizer.pad_id == 1
    assert tokenizer.mask_id == reference.get_piece_size() + 1


def test_what_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(ArtifactError, match="no tokeniser"):
        read_hugging_face_tokenizer(tmp_path, {"model_type": "bert"})
    (tmp_path / "spm.model").write_bytes(b"\x00\x01garbage")
    with pytest.raises(ArtifactError, match=r"spm\.model"):
        read_hugging_face_tokenizer(tmp_path, {"model_type": "albert"})
    write_uncased(tmp_path)
    with pytest.raises(ArtifactError, match="unknown"):
        read_hugging_face_tokenizer(tmp_path, {"model_type": "unheard-of"})
    (tmp_path / "vocab.txt").unlink()
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    (tmp_path / "merges.txt").write_text("a b\n")
    with pytest.raises(ArtifactError, match=r"vocab\.json"):
        read_hugging_face_tokenizer(tmp_path, {"model_type": "roberta"})
    (tmp_path / "vocab.txt").write_text("deja\nvu\n")
    with pytest.raises(ArtifactError, match="lacks the token"):
        read_hugging_face_tokenizer(tmp_path, {"model_type": "bert"})
