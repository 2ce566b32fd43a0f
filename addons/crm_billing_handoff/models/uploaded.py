"""The bytes of a file that somebody chose in a wizard, or a client sent."""

import base64
import binascii

from odoo.exceptions import UserError


def read_upload(env, file, most=20):
    """Return the bytes of ``file``, base64 as a binary field holds it.

    Lines that some clients break base64 into are joined again.

    :param most: MB that are read at once
    :raise UserError: nothing was chosen, the upload is damaged or too large
    """
    if not file:
        raise UserError(env._("Choose a file."))
    try:
        data = base64.b64decode(b"".join(file.split()), validate=True)
    except binascii.Error as error:
        raise UserError(env._("The upload is damaged. Try again.")) from error
    if len(data) > most * 1024 * 1024:
        raise UserError(env._("Import at most %(most)s MB at a time.", most=most))
    return data
