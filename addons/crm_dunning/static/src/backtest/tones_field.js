import {Component} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

/** How many mails of which tone a back-test counted, and to how many accounts. */
export class DunningTonesField extends Component {
    static template = "crm_dunning.TonesField";
    static props = {...standardFieldProps};

    get tones() {
        return this.props.record.data[this.props.name] || [];
    }
}

registry.category("fields").add("dunning_tones", {
    component: DunningTonesField,
    supportedTypes: ["json"],
});
