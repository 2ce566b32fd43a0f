"""Odoo 19.0 Community's source: a folder given, Debian's packages, or a git clone."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from . import say
from .paths import WORK

REPOSITORY = "https://github.com/odoo/odoo"
APT = WORK / ".apt"
UNPACKED = WORK / "root"
CLONE = WORK / "odoo-19.0"

# Debian keeps Odoo 19 in sid only, and Odoo's web assets as packages of their own.
# The assets of the release before sid are the ones without dangling links.
ASSET_SUITE = "trixie"
ASSETS = (
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
    "fonts-font-awesome",
    "fonts-roboto-unhinted",
    "fonts-montserrat",
    "fonts-inconsolata",
    "fonts-ocr-b",
    "fonts-glyphicons-halflings",
)
KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
)


def home():
    """Return the folder that holds ``odoo/``, or None while there is no source."""
    if given := os.environ.get("ODOO_SRC"):
        return Path(given).expanduser().resolve()
    for folder in (UNPACKED / "usr/lib/python3/dist-packages", CLONE):
        if (folder / "odoo/release.py").exists():
            return folder
    return None


def addons_paths():
    """Return Odoo's addons folders: a checkout has two, a package has all in one."""
    inner, outer = home() / "odoo/addons", home() / "addons"
    return [inner] if (inner / "crm").is_dir() else [outer, inner]


def version():
    """Return what tells one Odoo source from another, for the cache keys."""
    release = (home() / "odoo/release.py").read_bytes()
    parts = [hashlib.sha256(release).hexdigest()]
    if (home() / ".git").exists():
        git = ["git", "-C", str(home()), "rev-parse", "HEAD"]
        parts.append(subprocess.run(git, capture_output=True, text=True).stdout)
    elif UNPACKED in home().parents:
        parts += sorted(deb.name for deb in (APT / "debs").glob("odoo-19_*.deb"))
    return " ".join(parts)


def prepare():
    """Make sure there is an Odoo 19.0 source, by the first way that works here."""
    if not home():
        if mirror := _debian_mirror():
            _from_debian(mirror)
        else:
            _from_git()
    _check()
    if UNPACKED in home().parents:
        _write_missing_asset(home() / "odoo/addons")


def _check():
    release = home() / "odoo/release.py"
    if not release.exists():
        raise say.Trouble(f"ODOO_SRC={home()} holds no Odoo: {release} is missing")
    found = re.search(r"^version_info = \((\d+), (\d+)", release.read_text(), re.M)
    if not found or found.groups() != ("19", "0"):
        raise say.Trouble(f"{home()} is not Odoo 19.0; set ODOO_SRC to one that is")


# === DEBIAN === #


def _debian_mirror():
    """Return the Debian mirror of this machine, as its own apt knows it."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    if mirror := os.environ.get("DEBIAN_MIRROR"):
        return mirror
    command = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)"]
    command.append("Created-By: Packages")
    answer = subprocess.run(command, capture_output=True, text=True).stdout
    for line in answer.splitlines():
        label, _, uri = line.partition(" ")
        if label == "Debian":
            return uri
    return None


def _from_debian(mirror):
    """Fetch the packages with apt, verified, without touching the system's apt."""
    debs = APT / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    if not list(debs.glob("odoo-19_*.deb")):
        say.step("downloading Odoo 19 from Debian: 20 MB of index, 135 MB of packages")
        environment = dict(os.environ, APT_CONFIG=str(_write_apt_conf(mirror)))
        names = ["odoo-19", *(f"{name}/{ASSET_SUITE}" for name in ASSETS)]
        for command in (["update"], ["download", *names]):
            done = subprocess.run(
                ["apt-get", "-q", *command],
                cwd=debs,
                env=environment,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                for partial in debs.glob("*.deb"):
                    partial.unlink()
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                say.step(f"Debian's packages cannot be had: {reason}")
                _from_git()
                return
    say.step("unpacking Odoo (1.3 GB)")
    fresh = WORK / "root.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for deb in sorted(debs.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(deb), str(fresh)], check=True)
    dangling = [
        path
        for path in (fresh / "usr/lib/python3").rglob("*")
        if path.is_symlink() and not path.exists()
    ]
    if dangling:
        raise say.Trouble(
            f"Debian's packages do not fit together: {dangling[0]} and "
            f"{len(dangling) - 1} more links lead nowhere; set ODOO_SRC instead"
        )
    fresh.rename(UNPACKED)


def _write_apt_conf(mirror):
    keyring = os.environ.get("DEBIAN_KEYRING") or next(
        (path for path in KEYRINGS if os.path.exists(path)), None
    )
    if not keyring:
        raise say.Trouble(
            "Debian's keys are missing: apt-get install debian-archive-keyring"
        )
    for folder in ("lists/partial", "archives/partial"):
        (APT / folder).mkdir(parents=True, exist_ok=True)
    (APT / "status").touch()
    (APT / "debian.sources").write_text(
        f"""Types: deb
URIs: {mirror}
Suites: sid {ASSET_SUITE}
Components: main
Architectures: amd64
Signed-By: {keyring}
"""
    )
    # every package is "Architecture: all": amd64 is right on other processors too
    conf = APT / "apt.conf"
    conf.write_text(
        f"""Dir::State "{APT}";
Dir::State::Lists "{APT}/lists";
Dir::State::status "{APT}/status";
Dir::Cache "{APT}";
Dir::Cache::archives "{APT}/archives";
Dir::Etc::sourcelist "{APT}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
APT::Update::Post-Invoke-Success "";
APT::Get::AllowUnauthenticated "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::AllowInsecureRepositories "false";
"""
    )
    return conf


def _write_missing_asset(addons):
    """Replace the one script that Debian strips and every browser test asks for.

    It blurs the background of video calls; nothing else uses it.
    """
    script = addons / ("mail/static/lib/selfie_segmentation/selfie_segmentation.js")
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text("/* not part of Debian's package */\n")


# === GIT === #


def _from_git():
    if not shutil.which("git"):
        raise say.Trouble(
            "no Odoo source: install git, or set ODOO_SRC to a folder with Odoo 19.0"
        )
    say.step(f"cloning {REPOSITORY}, branch 19.0 (about 300 MB to download)")
    fresh = WORK / "odoo-19.0.new"
    shutil.rmtree(fresh, ignore_errors=True)
    command = ["git", "clone", "-q", "--depth", "1", "-b", "19.0", REPOSITORY, fresh]
    if subprocess.run(command).returncode:
        raise say.Trouble(
            "Odoo 19.0 could not be fetched; set ODOO_SRC to a folder that holds it"
        )
    fresh.rename(CLONE)
