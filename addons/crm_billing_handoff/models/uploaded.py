"""The bytes of a file that somebody chose in a wizard, or a client sent."""

import base64
import binascii

from odoo.exceptions import UserError


def read_upload(wizard, most=20):
    """Return the bytes of the field ``file`` of ``wizard``.

    Lines that some clients break base64 into are joined again. The web client saves
    with a context in which a file reads as its size; it is left aside here.

    :param most: MB that are read at once
    :raise UserError: nothing was chosen, the upload is damaged or too large
    """
    _ = wizard.env._
    file = wizard.with_context(bin_size=False).file
    if not file:
        raise UserError(_("Choose a file."))
    try:
        data = base64.b64decode(b"".join(file.split()), validate=True)
    except binascii.Error as error:
        raise UserError(_("The upload is damaged. Try again.")) from error
    if len(data) > most * 1024 * 1024:
        raise UserError(_("Import at most %(most)s MB at a time.", most=most))
    return data
