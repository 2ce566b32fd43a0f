"""The demo's mailbox: takes every mail that Odoo sends and keeps it as a file.

Nothing leaves the machine. A mail is ``.odoo/mail/<time>-<recipient>.eml``, which any
mail program opens. Runs in a process of its own: ``python -m lib.mailbox PORT``.
"""

import datetime
import re
import subprocess
import sys
import time
from pathlib import Path

from . import environment
from .paths import MAIL, SETUP

UNSAFE = re.compile(r"[^\w@.+-]")


class Mailbox:
    """The mailbox on a free ``port`` of this machine, inside the ``with`` block."""

    def __init__(self, folder=MAIL):
        self.folder = folder
        self.port = environment.free_port()

    def __enter__(self):
        command = [environment.PYTHON, "-m", "lib.mailbox", str(self.port), self.folder]
        self._process = subprocess.Popen(command, cwd=SETUP)
        return self

    def __exit__(self, *exception):
        self._process.terminate()
        self._process.wait()


class Handler:
    """What the SMTP server does with a mail: one file each."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, _server, _session, envelope):
        """Keep one mail; called by aiosmtpd."""
        now = datetime.datetime.now(datetime.timezone.utc)
        name = UNSAFE.sub("_", envelope.rcpt_tos[0])
        path = self.folder / f"{now:%Y%m%d-%H%M%S-%f}-{name}.eml"
        path.write_bytes(envelope.content)
        return "250 Message accepted for delivery"


def serve(port, folder):
    """Take mails until the process is ended."""
    # Only Odoo's environment has it, not the interpreter that runs `setup/demo`.
    from aiosmtpd.controller import Controller

    Controller(Handler(folder), hostname="127.0.0.1", port=port).start()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
