"""Join ``readme/*.rst`` of an addon into the ``README.rst`` that everybody reads."""

from .paths import ADDONS, manifests

SECTIONS = {
    "DESCRIPTION": None,  # goes right below the title
    "CONFIGURE": "Configuration",
    "USAGE": "Usage",
    "ROADMAP": "Known issues / Roadmap",
    "HISTORY": "Changelog",
    "CONTRIBUTORS": "Contributors",
}


def build(addon, manifest):
    """Return the text of one addon's ``README.rst``."""
    name = manifest["name"]
    parts = [f"{'=' * len(name)}\n{name}\n{'=' * len(name)}"]
    parts.append(
        ".. This file is made by setup/build_readme.py out of readme/: edit there."
    )
    for fragment, title in SECTIONS.items():
        path = ADDONS / addon / "readme" / f"{fragment}.rst"
        if not path.exists():
            continue
        if title:
            parts.append(f"{title}\n{'=' * len(title)}")
        parts.append(path.read_text().strip())
    parts.append(f"Licence\n=======\n\n{manifest['license']}")
    return "\n\n".join(parts) + "\n"


def write():
    """Write the ``README.rst`` of every addon."""
    for addon, manifest in manifests().items():
        (ADDONS / addon / "README.rst").write_text(build(addon, manifest))


def check():
    """Return which addons' ``README.rst`` is not what its fragments say."""
    stale = []
    for addon, manifest in manifests().items():
        path = ADDONS / addon / "README.rst"
        if not path.exists() or path.read_text() != build(addon, manifest):
            stale.append(f"addons/{addon}/README.rst: run setup/build_readme.py")
    return "\n".join(stale)
