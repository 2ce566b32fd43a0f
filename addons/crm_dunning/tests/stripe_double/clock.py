"""The clock of the local Stripe: it runs, jumps, or stands still."""

import time


class Clock:
    """Seconds since 1970 (UTC), as Stripe counts; runs with the real time at first."""

    def __init__(self, offset=0, frozen_at=None):
        self.offset = offset
        self.frozen_at = frozen_at

    def now(self):
        if self.frozen_at is not None:
            return self.frozen_at
        return int(time.time()) + self.offset

    def set(self, timestamp, frozen=True):
        """Go to ``timestamp``; then stand still, or run on from there."""
        self.offset = int(timestamp) - int(time.time())
        self.frozen_at = int(timestamp) if frozen else None

    def advance(self, seconds):
        self.offset += int(seconds)
        if self.frozen_at is not None:
            self.frozen_at += int(seconds)

    def follow(self):
        """Show the real time again."""
        self.__init__()
