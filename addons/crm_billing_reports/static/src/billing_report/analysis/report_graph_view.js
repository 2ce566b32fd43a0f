import { registry } from "@web/core/registry";
import { GraphController } from "@web/views/graph/graph_controller";
import { graphView } from "@web/views/graph/graph_view";

import { ReportBanner } from "../banner/report_banner";
import { withReportDates } from "../banner/report_search_model";

export class ReportGraphController extends GraphController {
    static template = "crm_billing_reports.ReportGraphView";
    static components = { ...GraphController.components, ReportBanner };

    getReportLayout() {
        const { groupBy, measure } = this.model.metaData;
        return { groupby: groupBy.map((group) => group.spec), columns: [measure] };
    }
}

registry.category("views").add("billing_report_graph", {
    ...graphView,
    Controller: ReportGraphController,
    SearchModel: withReportDates(graphView.SearchModel),
});
