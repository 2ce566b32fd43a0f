import { registry } from "@web/core/registry";
import { SearchModel } from "@web/search/search_model";
import { ListController } from "@web/views/list/list_controller";
import { ListRenderer } from "@web/views/list/list_renderer";
import { listView } from "@web/views/list/list_view";

import { ReportBanner } from "../banner/report_banner";
import { withReportDates } from "../banner/report_search_model";

export class ReportListController extends ListController {
    static template = "crm_billing_reports.ReportListView";
    static components = { ...ListController.components, ReportBanner };

    getReportLayout() {
        return {
            groupby: this.model.root.groupBy || [],
            columns: this.getExportableFields().map((field) => field.name),
        };
    }
}

/** Nothing is no figure to read: zeros step back. */
export class ReportListRenderer extends ListRenderer {
    static groupRowTemplate = "crm_billing_reports.ReportListRenderer.GroupRow";

    getCellClass(column, record) {
        const names = super.getCellClass(column, record);
        return record.data[column.name] === 0 ? `${names} o_billing_zero` : names;
    }
}

registry.category("views").add("billing_report_list", {
    ...listView,
    Controller: ReportListController,
    Renderer: ReportListRenderer,
    SearchModel: withReportDates(SearchModel),
});
