import { registry } from "@web/core/registry";
import { SearchModel } from "@web/search/search_model";
import { ListController } from "@web/views/list/list_controller";
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

registry.category("views").add("billing_report_list", {
    ...listView,
    Controller: ReportListController,
    SearchModel: withReportDates(SearchModel),
});
