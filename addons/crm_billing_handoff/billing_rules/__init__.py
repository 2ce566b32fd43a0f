"""Decisions about billing: pure functions, no ORM, no clock, exact money."""
