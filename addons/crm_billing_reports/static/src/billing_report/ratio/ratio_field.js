import { registry } from "@web/core/registry";
import { formatPercentage } from "@web/views/fields/formatters";
import { FloatField, floatField } from "@web/views/fields/float/float_field";

const DIGITS = [16, 1];

/** A ratio that is undefined is no 0 %: nothing was there to divide by. */
export function formatRatio(value) {
    return typeof value === "number" ? formatPercentage(value, { digits: DIGITS }) : "–";
}

export class RatioField extends FloatField {
    get formattedValue() {
        return formatRatio(this.props.record.data[this.props.name]);
    }
}

registry.category("formatters").add("billing_ratio", formatRatio);
registry.category("fields").add("billing_ratio", { ...floatField, component: RatioField });
