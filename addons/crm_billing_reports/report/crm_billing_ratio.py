from odoo import fields


class Ratio(fields.Float):
    """A quotient of a report: False where it is undefined, which is not 0 (8.8)."""

    def convert_to_record(self, value, record):
        return False if value is None else value


class Share(Ratio):
    """A quotient of two amounts; it is read as a percentage."""
