import { download } from "@web/core/network/download";

/**
 * Export a report.
 *
 * @param {Object} search `resModel`, `domain` and `context` of the report
 * @param {Object} layout `groupby` and `columns` that are on the screen
 * @param {string} format "csv" | "data" (CSV of names that never change) | "xlsx" | "pdf"
 * @param {string} detail "rows" | "groups"
 */
export function downloadReport({ resModel, domain, context }, layout, format, detail) {
    const data = { ...layout, domain, context, format, detail };
    return download({
        url: `/billing/report/${resModel}/export`,
        data: { data: JSON.stringify(data) },
    });
}
