"""Talk to the person at the terminal: progress on stderr, trouble in one line."""

import os
import signal
import sys
import time

STARTED = time.monotonic()


class Trouble(Exception):
    """Something the reader can repair; the message says with which command."""


class Ended(KeyboardInterrupt):
    """Somebody asked this process, and it alone, to end."""


def step(text):
    """Announce what happens now, with the seconds since the command started."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", file=sys.stderr, flush=True)


def run(main):
    """Run ``main(arguments)`` and end the process with its exit code."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = main(sys.argv[1:])
    except Trouble as trouble:
        print(f"{os.path.basename(sys.argv[0])}: {trouble}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.stdout.flush()
    sys.exit(code)


def _end(*_signal):
    """Unwind, so that the processes that we started end, too."""
    raise Ended
