import { registry } from "@web/core/registry";
import { user } from "@web/core/user";
import { PivotController } from "@web/views/pivot/pivot_controller";
import { PivotRenderer } from "@web/views/pivot/pivot_renderer";
import { pivotView } from "@web/views/pivot/pivot_view";

import { ReportBanner } from "../banner/report_banner";
import { downloadReport, getFiltersInWords } from "../banner/report_download";
import { withReportDates } from "../banner/report_search_model";

import { onWillStart } from "@odoo/owl";

export class ReportPivotController extends PivotController {
    static template = "crm_billing_reports.ReportPivotView";
    static components = { ...PivotController.components, ReportBanner };

    getReportLayout() {
        return getPivotLayout(this.model);
    }
}

function getPivotLayout({ metaData }) {
    return {
        groupby: [...metaData.fullRowGroupBys, ...metaData.fullColGroupBys],
        columns: metaData.activeMeasures,
    };
}

/** Its download is an export like the others: by right, and logged. */
export class ReportPivotRenderer extends PivotRenderer {
    static template = "crm_billing_reports.ReportPivotRenderer";

    setup() {
        super.setup();
        onWillStart(async () => {
            this.canExport = await user.hasGroup("base.group_allow_export");
        });
    }

    onDownloadButtonClicked() {
        const { resModel } = this.model.metaData;
        const { domain, context } = this.env.searchModel;
        const filters = getFiltersInWords(this.env.searchModel);
        const search = { resModel, domain, context, filters };
        return downloadReport(search, getPivotLayout(this.model), "xlsx", "groups");
    }
}

registry.category("views").add("billing_report_pivot", {
    ...pivotView,
    buttonTemplate: "crm_billing_reports.ReportPivotView.Buttons",
    Controller: ReportPivotController,
    Renderer: ReportPivotRenderer,
    SearchModel: withReportDates(pivotView.SearchModel),
});
