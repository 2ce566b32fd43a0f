"""File locks: one command prepares at a time, and a database in use is left alone."""

import contextlib
import fcntl
import os

from . import say
from .paths import WORK

FOLDER = WORK / "lock"


def take(name, shared=False, wait=True):
    """Return the open lock file ``name``, or None when it is taken and we don't wait.

    The lock lives as long as the returned file is open, and ends with the process.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    handle = open(FOLDER / name, "a")  # noqa: SIM115 - the caller keeps it open
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError:
        if not wait:
            handle.close()
            return None
        say.step(f"waiting for another command ({name})")
        fcntl.flock(handle, kind)
    if shared:
        os.utime(handle.fileno())
    return handle


def last_taken(name):
    """Return when the lock ``name`` was last taken for use, 0 for never."""
    path = FOLDER / name
    return path.stat().st_mtime if path.exists() else 0


@contextlib.contextmanager
def held(name):
    """Hold the lock ``name`` inside the block, waiting for it first."""
    with take(name):
        yield
