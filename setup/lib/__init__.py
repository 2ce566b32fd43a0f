"""What the commands in ``setup/`` are made of: one file per thing, no dependency.

Read ``environment.py`` first: everything else is prepared by it, below ``.odoo/``.
"""
