import {Component} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

/** Formula, inputs and the verdict of working the amount out anew; never edited. */
export class BillingExplanationField extends Component {
    static template = "crm_billing_handoff.ExplanationField";
    static props = {...standardFieldProps};

    get proof() {
        return this.props.record.data[this.props.name];
    }

    get color() {
        return {equal: "success", edited: "warning", differs: "danger"}[
            this.proof.verdict
        ];
    }
}

export const billingExplanationField = {
    component: BillingExplanationField,
    supportedTypes: ["json"],
};

registry.category("fields").add("billing_explanation", billingExplanationField);
