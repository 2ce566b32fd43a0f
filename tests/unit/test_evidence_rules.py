"""Evidence packs: what is written is proved, what comes back is not trusted."""

import io
import json
import stat
import warnings
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rules import evidence
from report_rules.evidence import BadPack, PackWriter, clean_name, open_pack, verify


def write(*files, header=None):
    target = io.BytesIO()
    writer = PackWriter(target)
    for folder, name, data in files:
        writer.add(folder, name, data, model="account.move", res_id=7)
    return target.getvalue() if header is None else (target, writer.close(header))


def pack(*files):
    target, digest = write(*files, header={"account": "Northwind"})
    return target.getvalue(), digest


def zipped(entries):
    """Return a ZIP of ``(name or ZipInfo, data)``, whatever the names are."""
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile dislikes names that stand twice
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in entries:
                archive.writestr(name, data)
    return target.getvalue()


def refusal(data):
    with pytest.raises(BadPack) as caught:
        archive, manifest, _digest = open_pack(data)
        verify(archive, manifest)
    return caught.value.reason


def test_pack_proves_itself():
    data, digest = pack(("invoices", "INV-1.pdf", b"one"), ("log", "log.csv", b"two"))
    archive, manifest, found = open_pack(data)
    assert found == digest
    assert manifest["account"] == "Northwind"
    assert [(row.path, row.state) for row in verify(archive, manifest)] == [
        ("invoices/INV-1.pdf", "equal"),
        ("log/log.csv", "equal"),
    ]
    assert verify(archive, manifest)[0].res_id == 7


def test_equal_contents_give_equal_packs():
    files = (("invoices", "INV-1.pdf", b"one"), ("log", "log.csv", b"two"))
    assert pack(*files) == pack(*files)


def test_changed_missing_and_extra_files_are_told_apart():
    data, _digest = pack(("a", "1", b"one"), ("a", "2", b"two"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = archive.read("manifest.json")
    forged = zipped([("a/1", b"ONE"), ("manifest.json", manifest), ("b/3", b"new")])
    archive, manifest, _digest = open_pack(forged)
    assert {(row.path, row.state) for row in verify(archive, manifest)} == {
        ("a/1", "changed"),
        ("a/2", "missing"),
        ("b/3", "extra"),
    }


def test_equal_names_are_kept_apart_also_without_case():
    data, _digest = pack(
        ("a", "x.pdf", b"1"), ("a", "X.pdf", b"2"), ("a", "x.pdf", b"3")
    )
    archive, manifest, _digest = open_pack(data)
    assert len({row["path"].lower() for row in manifest["files"]}) == 3
    assert {row.state for row in verify(archive, manifest)} == {"equal"}


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/passwd",
        "a/../../evil",
        "C:/evil",
        "a\\..\\evil",
        "a//b",
        "./a",
        "a/\nb",
        "folder/",
    ],
)
def test_names_that_leave_the_folder_are_refused(name):
    assert refusal(zipped([(name, b"x"), ("manifest.json", b"{}")])) == "path"


def test_links_are_refused():
    link = zipfile.ZipInfo("a/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert refusal(zipped([(link, b"/etc/passwd")])) == "link"


def test_names_twice_are_refused():
    assert refusal(zipped([("a", b"1"), ("A", b"2")])) == "twice"


def test_bombs_are_refused_by_what_they_would_unpack_to(monkeypatch):
    monkeypatch.setattr(evidence, "SMALL", 1000)
    monkeypatch.setattr(evidence, "LARGEST_RATIO", 100)
    assert refusal(zipped([("a", b"\0" * 1_000_000)])) == "large"
    monkeypatch.setattr(evidence, "LARGEST_TOTAL", 10)
    assert refusal(zipped([("a", b"123456"), ("b", b"123456")])) == "large"


def test_a_file_that_unpacks_to_more_than_it_says_is_refused():
    data, _digest = pack(("a", "1", b"A" * 5000))
    # The size in the directory of contents is a lie; the data is longer.
    place = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))
    lied = data[: place + 24] + (10).to_bytes(4, "little") + data[place + 28 :]
    assert refusal(lied) in ("large", "broken")


def test_too_many_files_are_refused(monkeypatch):
    monkeypatch.setattr(evidence, "MOST_FILES", 2)
    assert refusal(zipped([("a", b""), ("b", b""), ("c", b"")])) == "many"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip at all"])
def test_what_is_no_zip_is_refused(data):
    assert refusal(data) == "no_zip"


def test_a_zip_without_manifest_is_refused():
    assert refusal(zipped([("a", b"1")])) == "no_manifest"


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (b"\xff", "manifest"),
        (b"[" * 100_000, "manifest"),
        (b"[]", "format"),
        (b'{"format": "other"}', "format"),
        (json.dumps({"format": evidence.FORMAT}).encode(), "manifest"),
        (json.dumps({"format": evidence.FORMAT, "files": [1]}).encode(), "manifest"),
    ],
)
def test_a_manifest_that_is_none_is_refused(manifest, reason):
    assert refusal(zipped([("manifest.json", manifest)])) == reason


def test_a_damaged_file_is_refused():
    data, _digest = pack(("a", "1", bytes(range(256)) * 40))
    at = data.index(b"a/1") + 20
    assert refusal(data[:at] + b"\xff\xff\xff" + data[at + 3 :]) == "broken"


@given(st.binary(max_size=400))
def test_garbage_never_raises_anything_else(data):
    for body in (data, b"PK\x03\x04" + data, data + pack(("a", "b", b"c"))[0]):
        try:
            archive, manifest, _digest = open_pack(body)
            verify(archive, manifest)
        except BadPack:
            pass


@given(st.text(max_size=200))
def test_names_are_safe_whatever_the_text(text):
    name = clean_name(text)
    assert 0 < len(name) <= 81
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert name not in (".", "..")
    assert not name.startswith(".")


def test_long_names_keep_their_suffix():
    assert clean_name("a" * 300 + ".pdf").endswith("a.pdf")
    assert clean_name("CON.pdf") == "_CON.pdf"
