"""Export ``i18n/<addon>.pot``, so that the same texts give the same bytes."""

import re
import subprocess
import tempfile
from pathlib import Path

from . import databases, environment, say
from .paths import ADDONS, ROOT, manifests

USAGE = """\
usage: setup/pot [--check]

Write the translation template of each addon; --check only says which are stale."""
DATES = re.compile(r'^"(POT-Creation-Date|PO-Revision-Date): .*\n', re.M)


def main(arguments):
    if arguments not in ([], ["--check"]):
        print(USAGE)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    environment.prepare()
    if arguments:
        stale = check()
        print(stale or "every .pot file is up to date")
        return 1 if stale else 0
    for path, text in _export().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


def check():
    """Return which .pot files do not hold the texts of the sources."""
    stale = [
        f"{path.relative_to(ROOT)}: run setup/pot"
        for path, text in _export().items()
        if not path.exists() or path.read_text() != text
    ]
    return "\n".join(stale)


def _export():
    """Return ``{path of the .pot: its text}`` for each addon."""
    layer = databases.layer(demo=False)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for addon in manifests():
            output = Path(folder) / f"{addon}.pot"
            command = [*databases.odoo("i18n", "export"), "-d", layer]
            command += ["-l", "pot", "-o", str(output), addon]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode or not output.exists():
                raise say.Trouble(f"Odoo could not export {addon}:\n{done.stderr}")
            # when it was exported says nothing, and would change every time
            text = DATES.sub("", output.read_text())
            found[ADDONS / addon / "i18n" / f"{addon}.pot"] = text
    return found
