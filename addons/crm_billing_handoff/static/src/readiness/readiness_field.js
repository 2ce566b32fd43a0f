import {Component} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {_t} from "@web/core/l10n/translation";
import {useService} from "@web/core/utils/hooks";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

const ICONS = {
    block: "fa-times-circle text-danger",
    warn: "fa-exclamation-triangle text-warning",
    info: "fa-arrow-right text-info",
    ok: "fa-check-circle text-success",
};

/**
 * A list of gaps: what is missing, why it matters, who can fix it, and a link to
 * the record where it is fixed. The value is made by the server and never edited.
 */
export class BillingReadinessField extends Component {
    static template = "crm_billing_handoff.ReadinessField";
    static props = {...standardFieldProps, emptyText: {type: String, optional: true}};

    setup() {
        this.action = useService("action");
    }

    get items() {
        return this.props.record.data[this.props.name] || [];
    }

    get emptyText() {
        return this.props.emptyText || _t("Everything is there.");
    }

    icon(item) {
        return ICONS[item.level] || ICONS.info;
    }

    who(item) {
        return {sales: _t("Sales"), billing: _t("Billing")}[item.who] || "";
    }

    hasLink(item) {
        return Boolean(item.action || (item.model && item.res_id));
    }

    async open(item) {
        // What is typed on the form must not be lost by following the link.
        await this.props.record.save();
        if (item.action) {
            return this.action.doAction(item.action);
        }
        return this.action.doAction({
            type: "ir.actions.act_window",
            res_model: item.model,
            res_id: item.res_id,
            views: [[false, "form"]],
            context:
                item.model === "res.partner" ? {form_view_ref: "base.view_partner_form"} : {},
        });
    }
}

export const billingReadinessField = {
    component: BillingReadinessField,
    supportedTypes: ["json"],
    extractProps: ({options}) => ({emptyText: options.empty_text}),
};

registry.category("fields").add("billing_readiness", billingReadinessField);
