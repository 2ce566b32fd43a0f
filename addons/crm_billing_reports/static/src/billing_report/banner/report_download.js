import { download } from "@web/core/network/download";

/**
 * Export a report.
 *
 * @param {Object} search `resModel`, `domain` and `context` of the report, and its
 *      `filters` in words
 * @param {Object} layout `groupby` and `columns` that are on the screen
 * @param {string} format "csv" | "data" (CSV of names that never change) | "xlsx" | "pdf"
 * @param {string} detail "rows" | "groups"
 */
export function downloadReport({ resModel, domain, context, filters }, layout, format, detail) {
    const data = { ...layout, domain, context, filters, format, detail };
    return download({
        url: `/billing/report/${resModel}/export`,
        data: { data: JSON.stringify(data) },
    });
}

/** Return the facets of the search in words. */
export function getFiltersInWords(searchModel) {
    return searchModel.facets
        .filter((facet) => facet.type !== "groupBy")
        .map(({ title, values }) => (title ? `${title}: ` : "") + values.join(" / "))
        .join(", ");
}
