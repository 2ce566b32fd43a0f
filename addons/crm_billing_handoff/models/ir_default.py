from odoo import api, models

from .res_partner_wall import GROUP_CLERK


class IrDefault(models.Model):
    _inherit = "ir.default"

    @api.model
    def _get_model_defaults(self, model_name, condition=False):
        """Override of `base` to ignore a salesperson's own defaults on walled fields.

        Defaults are applied without an access check; those that an administrator set
        for everybody still count. Being superuser for a moment does not help: the
        defaults are the ones of the person behind it. What only the flow writes has
        no defaults at all.
        """
        defaults = super()._get_model_defaults(model_name, condition)
        model = self.env.get(model_name)
        if defaults and hasattr(model, "_get_machine_fields"):
            machine = model._get_machine_fields()
            defaults = {
                name: value for name, value in defaults.items() if name not in machine
            }
        if model_name != "res.partner":
            return defaults
        names = self.env["res.partner"]._get_walled_fields()
        walled = [name for name in names if name in defaults]
        if not walled or self.env.user.has_group(GROUP_CLERK):
            return defaults
        shared = self._get_shared_defaults(model_name, walled, condition)
        return {
            name: value for name, value in defaults.items() if name not in walled
        } | shared

    @api.model
    def _get_shared_defaults(self, model_name, names, condition):
        """Return the defaults of all users for ``names``, the company's own first."""
        values = {}
        for name in names:
            for company_id in (self.env.company.id, False):
                # Reads what an administrator set for everybody.
                value = self.sudo()._get(model_name, name, False, company_id, condition)
                if value is not None:
                    values.setdefault(name, value)
        return values
