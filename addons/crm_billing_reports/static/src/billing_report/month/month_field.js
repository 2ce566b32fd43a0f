import { registry } from "@web/core/registry";
import { DateTimeField, dateField } from "@web/views/fields/datetime/datetime_field";

/** A day that stands for its month; which day that is says nothing. */
export function formatMonth(value) {
    return value ? value.toFormat("LLLL yyyy") : "";
}

export class MonthField extends DateTimeField {
    getFormattedValue(valueIndex) {
        return formatMonth(this.values[valueIndex]);
    }
}

registry.category("formatters").add("billing_month", formatMonth);
registry.category("fields").add("billing_month", { ...dateField, component: MonthField });
