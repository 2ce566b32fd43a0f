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

    get isReviewed() {
        return this.props.record.data.billing_is_reviewed;
    }

    isRed(item) {
        return item.status !== "ok";
    }

    /** Red until somebody looked at it, then amber: still not as agreed. */
    color(item) {
        if (!this.isRed(item)) {
            return "success";
        }
        return this.isReviewed ? "warning" : "danger";
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

/** What has to be looked at, by name, in a list of drafts. */
export class BillingDifferencesField extends BillingChecklistField {
    static template = "crm_billing_handoff.DifferencesField";

    get items() {
        return super.items.filter((item) => this.isRed(item));
    }
}

export const billingChecklistField = {
    component: BillingChecklistField,
    supportedTypes: ["json"],
    fieldDependencies: [{name: "billing_is_reviewed", type: "boolean"}],
};
export const billingDifferencesField = {
    ...billingChecklistField,
    component: BillingDifferencesField,
};

registry.category("fields").add("billing_checklist", billingChecklistField);
registry.category("fields").add("billing_differences", billingDifferencesField);
