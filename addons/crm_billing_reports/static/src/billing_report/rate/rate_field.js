import { registry } from "@web/core/registry";
import { formatFloat } from "@web/views/fields/formatters";
import { FloatField, floatField } from "@web/views/fields/float/float_field";

const DIGITS = [16, 1];

/** A rate per hundred that is undefined is no 0: nothing was there to divide by. */
export function formatRate(value) {
    return typeof value === "number" ? formatFloat(value, { digits: DIGITS }) : "–";
}

export class RateField extends FloatField {
    get formattedValue() {
        return formatRate(this.props.record.data[this.props.name]);
    }
}

registry.category("formatters").add("billing_rate", formatRate);
registry.category("fields").add("billing_rate", { ...floatField, component: RateField });
