"""Scenario files: a customer's story in business terms, played through real Odoo.

``reader`` and ``compare`` need nothing but the standard library. ``player`` and what
it calls run inside an Odoo process; read ``player.py`` first, then ``timeline.py``.
"""
