import {Component} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {_t} from "@web/core/l10n/translation";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

/**
 * The review of a draft: each value beside the quotation's and the account's, the
 * ones that differ in red. The verdicts come from the server.
 */
export class BillingChecklistField extends Component {
    static template = "crm_billing_handoff.ChecklistField";
    static props = {...standardFieldProps};

    get items() {
        return this.props.record.data[this.props.name] || [];
    }

    isRed(item) {
        return item.status !== "ok";
    }

    verdict(item) {
        return {
            ok: _t("As agreed"),
            differs: _t("Differs"),
            missing: _t("Missing"),
            zero: _t("Zero"),
            unusual: _t("Unusual"),
            limit: _t("Above the limit"),
            duplicate: _t("Possible duplicate"),
        }[item.status];
    }
}

export const billingChecklistField = {
    component: BillingChecklistField,
    supportedTypes: ["json"],
};

registry.category("fields").add("billing_checklist", billingChecklistField);
