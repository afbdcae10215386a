"""Records of lines that come many at once are those of the same lines one by one."""

from hypothesis import given
from hypothesis import strategies as st

from aitk.core.io.delimited import as_lines, split_batches, split_records
from aitk.core.io.lines import LineBatch, open_lines

PIECES = st.sampled_from(
    ["a", "b c", ",", ",", '"', '""', '"x, y"', "\n", "\n", "\r\n", "\r", "\t"]
)


@given(
    pieces=st.lists(PIECES, max_size=40),
    size=st.integers(1, 4),
    delimiter=st.sampled_from([",", "\t"]),
    width=st.sampled_from([None, 1, 2]),
)
def test_batches_give_the_records_of_their_lines(pieces, size, delimiter, width):
    texts = "".join(pieces).split("\n")
    last = "" if texts[-1] == "" else texts.pop()
    lines = [text + "\n" for text in texts] + [last] * bool(last)
    batches = [
        LineBatch(at + 1, [line.removesuffix("\n") for line in lines[at : at + size]])
        for at in range(0, len(lines), size)
    ]
    if last:
        batches[-1].is_ended = False
    one_by_one = list(split_records(as_lines(lines), delimiter, width=width))
    assert list(split_batches(batches, delimiter, width=width)) == one_by_one


def test_a_bad_line_leaves_the_others_of_its_batch(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,1\nb\xff,2\n\0,3\nd,4")
    opened = open_lines(str(tmp_path / "a.csv"), encoding="utf-8")
    assert [(line.number, line.text, bool(line.problem)) for line in opened] == [
        (1, "a,1\n", False),
        (2, "b\ufffd,2\n", True),
        (3, "\0,3\n", True),
        (4, "d,4", False),
    ]
