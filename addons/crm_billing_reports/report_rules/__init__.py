"""What the figures of the reports mean: pure functions, no Odoo, no clock."""
