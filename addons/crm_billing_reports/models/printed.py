"""Documents that are printed in order to be kept."""

from odoo.exceptions import UserError


def print_document(record, report):
    """Print one record, with nothing stored; return ``(kind of file, content)``.

    :param report: external id of the report
    :raise UserError: the printer gave no document: core takes its failure for a warning
        and goes on with an empty file, and nothing empty is kept as proof
    """
    reports = record.env["ir.actions.report"].with_context(
        report_pdf_no_attachment=True
    )
    data, kind = reports._render_qweb_pdf(report, record.ids)
    if not data or (kind == "pdf" and not data.startswith(b"%PDF")):
        raise UserError(
            record.env._(
                "%(document)s could not be printed. Ask an administrator to look at "
                "the PDF printer (wkhtmltopdf) of this server.",
                document=record.display_name,
            )
        )
    return kind, data
