"""An evidence pack as a file: what a reader trusts of it, and what proves it.

The pack is a ZIP with a ``manifest.json`` that lists each file with size and SHA-256.
A pack that comes back is hostile until checked: names that climb out of the folder,
names twice, links, ciphers and files that unpack to many times their size are refused
before anything of them is read.
"""

import hashlib
import io
import json
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath

MANIFEST = "manifest.json"
FORMAT = "crm-billing-evidence/1"
MOST_FILES = 20_000
LARGEST_FILE = 512 * 1024 * 1024  # bytes, unpacked
LARGEST_TOTAL = 2 * 1024**3  # bytes, unpacked
LARGEST_RATIO = 1_000  # unpacked to packed; a deflated text of blanks reaches 1,030
SMALL = 10 * 1024 * 1024  # bytes; below, a ratio alone is harmless
# Always the same: equal contents give equal packs.
EPOCH = (1980, 1, 1, 0, 0, 0)
RESERVED = {"con", "prn", "aux", "nul"}
BLOCK = 1024 * 1024


class BadPack(ValueError):
    """The file is no pack that can be read: a reason by name, and what it is about."""

    def __init__(self, reason: str, about: str = ""):
        super().__init__(reason, about)
        self.reason, self.about = reason, about


@dataclass(frozen=True)
class Finding:
    """One file of a pack beside its manifest: equal, changed, missing or extra."""

    path: str
    state: str
    model: str = ""
    res_id: int = 0


def clean_name(text: str, length: int = 80) -> str:
    """Return a file name without separators, control characters and leading dots."""
    kept = "".join(
        letter if letter.isalnum() or letter in "-_. ()" else "_" for letter in text
    )
    kept = kept.strip(" .")
    if len(kept) > length:
        stem, dot, suffix = kept.rpartition(".")
        keep_suffix = dot and len(suffix) <= 8
        tail = f".{suffix}" if keep_suffix else ""
        kept = (stem if keep_suffix else kept)[: length - len(tail)] + tail
    return f"_{kept}" if not kept or kept.split(".")[0].lower() in RESERVED else kept


def to_json(value: object) -> bytes:
    """Return the one text that a value has: keys sorted, UTF-8."""
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, indent=1, default=str
    ).encode()


def checksum(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class PackWriter:
    """Write files one after the other into ``target``; the manifest comes last.

    :param target: a file open for writing
    """

    def __init__(self, target):
        self._archive = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)
        self._taken = {MANIFEST}
        self.files = []

    def add(self, folder: str, name: str, data: bytes, **about) -> str:
        """Add one file under a free name; return its path.

        :param about: what the manifest says of it, such as ``model`` and ``res_id``
        """
        path = self._find_free(f"{clean_name(folder)}/{clean_name(name)}")
        self._write(path, data)
        self.files.append(
            {"path": path, "size": len(data), "sha256": checksum(data), **about}
        )
        return path

    def close(self, header: dict) -> str:
        """Write the manifest and return its SHA-256, which stands for the pack."""
        manifest = to_json({"format": FORMAT, **header, "files": self.files})
        self._write(MANIFEST, manifest)
        self._archive.close()
        return checksum(manifest)

    def _write(self, path, data):
        entry = zipfile.ZipInfo(path, EPOCH)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o600 << 16
        self._archive.writestr(entry, data)

    def _find_free(self, path):
        # Told apart without case: some disks do not see the difference.
        place, number = PurePosixPath(path), 1
        while path.lower() in self._taken:
            number += 1
            path = str(place.with_name(f"{place.stem} ({number}){place.suffix}"))
        self._taken.add(path.lower())
        return path


def check_entries(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse a list of contents that no honest pack has.

    :raise BadPack: too many or too large files, or a name, link or cipher to distrust
    """
    if len(entries) > MOST_FILES:
        raise BadPack("many")
    if sum(entry.file_size for entry in entries) > LARGEST_TOTAL:
        raise BadPack("large")
    seen = set()
    for entry in entries:
        _check_entry(entry)
        if entry.filename.lower() in seen:
            raise BadPack("twice", entry.filename)
        seen.add(entry.filename.lower())


def _check_entry(entry):
    name = entry.filename
    parts = name.split("/")
    if (
        not name
        or name.startswith("/")
        or "\\" in name
        or ":" in name
        or any(part in ("", ".", "..") for part in parts)
        or any(ord(letter) < 32 for letter in name)
    ):
        raise BadPack("path", name)
    kind = entry.external_attr >> 16
    if kind and stat.S_IFMT(kind) not in (0, stat.S_IFREG):
        raise BadPack("link", name)
    if entry.flag_bits & 0x1:
        raise BadPack("cipher", name)
    packed = max(entry.compress_size, 1)
    bomb = entry.file_size > SMALL and entry.file_size / packed > LARGEST_RATIO
    if entry.file_size > LARGEST_FILE or bomb:
        raise BadPack("large", name)


def open_pack(data: bytes) -> tuple[zipfile.ZipFile, dict, str]:
    """Return archive, manifest and checksum of the manifest of a pack.

    :raise BadPack: it is no ZIP, holds what no honest pack holds, or has no manifest
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise BadPack("no_zip") from error
    check_entries(entries)
    if MANIFEST not in archive.namelist():
        raise BadPack("no_manifest")
    text = read_file(archive, MANIFEST)
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadPack("manifest") from error
    _check_manifest(manifest)
    return archive, manifest, checksum(text)


def _check_manifest(manifest):
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadPack("format")
    files = manifest.get("files")
    good = isinstance(files, list) and all(
        isinstance(row, dict)
        and isinstance(row.get("path"), str)
        and isinstance(row.get("sha256"), str)
        for row in files
    )
    if not good or len({row["path"] for row in files}) != len(files):
        raise BadPack("manifest")


def read_file(archive: zipfile.ZipFile, path: str) -> bytes:
    """Return a file of the archive, never more than it says it has.

    :raise BadPack: it is broken, or unpacks to more than its entry says
    """
    size = archive.getinfo(path).file_size
    blocks, left = [], size
    try:
        with archive.open(path) as source:
            while block := source.read(min(BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    raise BadPack("large", path)
                blocks.append(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise BadPack("broken", path) from error
    return b"".join(blocks)


def verify(archive: zipfile.ZipFile, manifest: dict) -> list[Finding]:
    """Compare each file with the manifest; the order is that of the manifest."""
    present = set(archive.namelist()) - {MANIFEST}
    findings = []
    for row in manifest["files"]:
        path = row["path"]
        if path not in present:
            state = "missing"
        elif checksum(read_file(archive, path)) == row["sha256"]:
            state = "equal"
        else:
            state = "changed"
        present.discard(path)
        model, res_id = row.get("model"), row.get("res_id")
        findings.append(
            Finding(
                path,
                state,
                model if isinstance(model, str) else "",
                res_id if isinstance(res_id, int) else 0,
            )
        )
    findings += [Finding(path, "extra") for path in sorted(present)]
    return findings
