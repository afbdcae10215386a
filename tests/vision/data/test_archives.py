"""Archives of images: read in place, and what hostile ones try."""

import io
import tarfile
import zipfile

import pytest

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal
from aitk.vision.data import archives
from aitk.vision.data.options import ClassifyImages
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import REFUSED_MEMBERS, ReadingCounts


def read(path, *, labelled=True):
    return list(
        read_images(
            [str(path)],
            ClassifyImages(),
            annotation_kinds={"label"},
            labelled=labelled,
            note=print,
        )
    )


def write(path, members):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(
            path, "w:" + path.suffix[1:].replace("tar", "").replace("tgz", "gz")
        ) as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.xz"])
def test_an_archive_is_read_like_a_folder(tmp_path, painted, name):
    members = {
        "top/train/dog/2.png": painted((1, 2, 3)),
        "top/train/cat/1.png": painted((9, 9, 9)),
        "top/val/dog/3.png": painted((5, 5, 5)),
        "__MACOSX/top/._1.png": b"x",
        "top/.DS_Store": b"x",
    }
    rows = read(write(tmp_path / name, members))
    assert [(row.split, row.fields["label"]) for row in rows] == [
        ("train", "cat"),
        ("train", "dog"),
        ("validation", "dog"),
    ]
    assert rows[1].fields["image"] == members["top/train/dog/2.png"]
    assert rows[1].file == str(tmp_path / name)


def test_a_refusal_names_the_member(tmp_path, painted):
    path = write(tmp_path / "a.zip", {"cat/1.png": painted()[:40], "cat/2.png": painted()})
    bad, _ = read(path)
    assert bad == Refusal(str(path), 1, "cat/1.png: is damaged or truncated")


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\e.png"])
@pytest.mark.parametrize("archive", ["a.zip", "a.tar"])
def test_names_that_lead_out_are_refused(tmp_path, painted, name, archive):
    path = write(tmp_path / archive, {name: painted(), "cat/1.png": painted()})
    bad, good = read(path)
    assert "points outside the archive" in bad.reason
    assert good.fields["name"] == "cat/1.png"


def test_links_in_a_tar_are_refused(tmp_path, painted):
    path = write(tmp_path / "a.tar", {"cat/1.png": painted()})
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("cat/2.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    bad, _ = read(path)
    assert bad.reason == "cat/2.png is a link or a device, not a regular file"


def test_links_to_annotations_in_a_tar_are_counted(tmp_path, painted):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("cat/1.png")
        info.size = len(painted())
        tar.addfile(info, io.BytesIO(painted()))
        link = tarfile.TarInfo("cat/1.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "2.txt"
        tar.addfile(link)
    counts = ReadingCounts()
    source = {"annotation_kinds": {"label"}, "labelled": True, "note": print, "counts": counts}
    assert len(list(read_images([str(tmp_path / "a.tar")], ClassifyImages(), **source))) == 1
    assert counts.counts[REFUSED_MEMBERS] == 1


def test_a_member_that_shrank_too_far_is_a_bomb(tmp_path, painted, monkeypatch):
    monkeypatch.setattr(archives, "HARMLESS_BYTES", 1000)
    path = write(tmp_path / "a.zip", {"cat/1.png": bytes(2_000_000), "cat/2.png": painted()})
    bad, _ = read(path)
    assert bad.reason == "cat/1.png is a decompression bomb"


def test_a_compressed_tar_that_grows_too_far_is_a_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "HARMLESS_BYTES", 1000)
    path = write(tmp_path / "a.tar.gz", {"cat/1.png": bytes(5_000_000)})
    with pytest.raises(DataError, match="decompression bomb"):
        read(path)


def test_a_member_larger_than_its_limit_is_refused(tmp_path, painted, monkeypatch):
    path = write(tmp_path / "a.zip", {"cat/1.png": painted()})
    with archives.open_archive(path) as tree, pytest.raises(DataError, match="larger than 10"):
        tree.read("cat/1.png", max_bytes=10)


def test_a_damaged_archive_is_one_line(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "a.zip")


def test_a_damaged_member_is_refused(tmp_path, painted):
    path = write(tmp_path / "a.zip", {"cat/1.png": painted(height=200, width=200)})
    data = bytearray(path.read_bytes())
    data[60:70] = bytes(10)
    path.write_bytes(data)
    (bad,) = read(path)
    assert "cat/1.png: cannot be read" in bad.reason


def test_a_table_in_an_archive_names_its_images(tmp_path, painted):
    table = '{"image": "p/1.png", "label": "cat", "split": "test"}\n{"image": "../1.png"}\n'
    path = write(tmp_path / "a.zip", {"rows.jsonl": table.encode(), "p/1.png": painted()})
    good, bad = read(path)
    assert (good.fields["label"], good.split) == ("cat", "test")
    assert bad.reason == "../1.png is outside the archive"


def test_a_chain_of_long_names_is_refused(tmp_path):
    link = tarfile.TarInfo("././@LongLink")
    link.type, link.size = tarfile.GNUTYPE_LONGNAME, 2
    block = link.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")
    path = tmp_path / "a.tar"
    path.write_bytes(block * 5000 + bytes(1024))
    with pytest.raises(DataError, match="cannot be read"):
        read(path)


def test_a_header_of_gigabytes_is_not_read_into_memory(tmp_path):
    link = tarfile.TarInfo("././@LongLink")
    link.type, link.size = tarfile.GNUTYPE_LONGNAME, 5_000_000_000
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        file.write(link.tobuf(tarfile.GNU_FORMAT))
        file.truncate(6_000_000_000)  # a hole, not written
    with pytest.raises(DataError, match="a header of 5,000,000,"):
        read(path)


def test_members_whose_names_are_no_text_are_read(tmp_path, painted):
    path = write(tmp_path / "a.tar", {"caf\udce9/1.png": painted(0), "b/2.png": painted(1)})
    rows = read(path)
    assert {row.fields["label"] for row in rows} == {"b", r"caf\xe9"}
