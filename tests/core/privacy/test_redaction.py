import dataclasses

import pytest

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.privacy.options import Redaction
from aitk.core.privacy.redaction import Redactor, redactor_of, with_counts

EVERYTHING = Redaction(redact=["all"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to anna.schmidt@example.com.", "write to [EMAIL]."),
        ("我的邮箱是omar@qq.com谢谢", "我的邮箱是[EMAIL]谢谢"),
        ("anna [at] example [dot] org", "[EMAIL]"),
        ("call (415) 555-2671 or +44 20 7946 0958", "call [PHONE] or [PHONE]"),
        ("手机13812345678，座机010-62345678", "手机[PHONE]，座机[PHONE]"),
        ("06 12 34 56 78 ou 030 23125 000", "[PHONE] ou [PHONE]"),
        ("card 4111-1111-1111-1111", "card [CARD]"),
        ("DE89 3704 0044 0532 0130 00 is mine", "[IBAN] is mine"),
        ("身份证11010519491231002X。", "身份证[ID]。"),
        ("12345678Z, 536-22-1234", "[ID], [ID]"),
        ("from 10.0.0.12 and 2001:db8::8a2e:370:7334", "from [IP] and [IP]"),
    ],
)
def test_personal_data_becomes_a_tag(text, expected):
    assert Redactor(EVERYTHING)(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "order 4155552671 of 2024-03-12, ¥13800000000",
        "version 10.2.33.1, section 4.1.2.3, 12:30:45",
        "card 4111 1111 1111 1112",
        "DE89 3704 0044 0532 0130 01",
        "std::vector, John 3:16, 1::2",
        "user@localhost and @anna",
        "03.02.2000 10:03 for $1,234,567.89",
        "978-3-16-148410-0",
    ],
)
def test_what_only_looks_alike_stays(text):
    assert Redactor(EVERYTHING)(text) == text


def test_only_the_chosen_kinds_are_replaced_and_counted():
    redactor = Redactor(Redaction(redact=["email", "card"]))
    text = "a@b.org b@c.org 4111111111111111 10.0.0.1"
    assert redactor(text) == "[EMAIL] [EMAIL] [CARD] 10.0.0.1"
    assert redactor.take_counts() == {"email": 2, "card": 1}
    assert redactor.take_counts() == {}


def test_places_move_with_the_text_and_widen_to_tags():
    redacted = Redactor(EVERYTHING).redact("ask anna@example.com today")
    assert redacted.text == "ask [EMAIL] today"
    assert redacted.text[redacted.moved(21) : redacted.moved(26, end=True)] == "today"
    # "example" stands inside the address: its place is that of the whole tag.
    assert redacted.text[redacted.moved(9) : redacted.moved(16, end=True)] == "[EMAIL]"
    assert (redacted.moved(0), redacted.moved(3, end=True)) == (0, 3)


def test_each_row_carries_what_was_replaced_in_it():
    redactor = Redactor(EVERYTHING)

    def rows():
        yield Row({"text": redactor("a@b.org")}, "f", 1)
        redactor("lost@b.org")
        yield Refusal("f", 2, "no label")
        yield Row({"text": redactor("nothing")}, "f", 3)

    first, _, third = with_counts(rows(), redactor)
    assert first == dataclasses.replace(first, redacted={"email": 1})
    assert third.redacted == {}


def test_a_pipeline_finds_names_and_places(tmp_path):
    import spacy

    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns(
        [{"label": "PERSON", "pattern": "Anna Schmidt"}, {"label": "GPE", "pattern": "Bonn"}]
    )
    pipeline.to_disk(tmp_path / "pipeline")
    options = Redaction(redact=["name"], redact_pipeline=str(tmp_path / "pipeline"))
    assert Redactor(options)("Anna Schmidt lives in Bonn") == "[NAME] lives in Bonn"
    both = dataclasses.replace(options, redact=["all"])
    assert Redactor(both)("Anna Schmidt, Bonn, a@b.org") == "[NAME], [PLACE], [EMAIL]"


def test_options_that_cannot_work_are_refused():
    with pytest.raises(UsageError, match="pipeline"):
        Redactor(Redaction(redact=["name"]))
    with pytest.raises(UsageError, match="redact"):
        redactor_of(Redaction(redact_pipeline="en_core_web_sm"))
    with pytest.raises(UsageError, match="XX"):
        Redactor(Redaction(redact=["phone"], redact_countries=["XX"]))
    with pytest.raises(ArtifactError):
        Redactor(Redaction(redact=["name"], redact_pipeline="no_such_pipeline"))
    assert redactor_of(Redaction()) is None


def test_hostile_texts_take_linear_time():
    redactor = Redactor(EVERYTHING)
    for piece in ("a@", "1 ", "1.", "a.b-", "::", "0" * 50, "DE89 ", "(", "+1"):
        redactor(piece * 4000)
