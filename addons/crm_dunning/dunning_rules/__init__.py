"""Decisions about collecting: pure functions, no ORM, no clock, exact money."""
