"""The package registries this machine uses; their names stay out of the repository."""

import re
import shutil
import subprocess

from . import environment

# pip knows its default registry by itself
DEFAULTS = """
from pip._internal.models.index import PyPI
print(PyPI.url, f"https://{PyPI.file_storage_domain}")
"""


def hosts():
    """Return the host names of the registries that pip and apt know here."""
    commands = [
        [environment.PYTHON, "-c", DEFAULTS],
        [environment.PYTHON, "-m", "pip", "config", "list"],
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        ["npm", "config", "get", "registry"],
        ["go", "env", "GOPROXY"],
    ]
    text = "\n".join(map(_output, commands))
    found = re.findall(r"https?://(?:[^/@\s]*@)?([\w.-]+)", text)
    return {host for host in found if "." in host}


def _output(command):
    if not shutil.which(str(command[0])):
        return ""
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True
    ).stdout
