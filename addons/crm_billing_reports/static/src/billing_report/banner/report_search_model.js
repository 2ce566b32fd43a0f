import { Domain } from "@web/core/domain";

const ISO_DATE = /^\d{4}-\d{2}-\d{2}$/;

/**
 * A search model that can exchange the day or the period a report is made for.
 *
 * The dates live in the search like any filter, so that favourites, drill-downs and
 * exports keep them. One at a time: an older one leaves, wherever it came from.
 */
export const withReportDates = (SearchModel) =>
    class ReportSearchModel extends SearchModel {
        /**
         * @param {string[]} names the parameter columns of the report
         * @param {Object} [filter] what replaces them; without it they are just removed
         */
        async setReportDates(names, filter) {
            const isDate = (leaf) => names.includes(leaf[0]);
            for (const { group, items } of this._getDatedGroups(isDate)) {
                if (!items.every(({ leaves }) => leaves.every(isDate))) {
                    const domain = Domain.or(items.map((item) => item.domain));
                    await this.splitAndAddDomain(domain.toString(), group.id);
                }
            }
            const dated = this._getDatedGroups(isDate).flatMap(({ items }) =>
                items.map((item) => item.searchItemId)
            );
            this.query = this.query.filter((part) => !dated.includes(part.searchItemId));
            this.globalDomain = Domain.removeDomainLeaves(this.globalDomain, names).toList({});
            if (filter) {
                this.createNewFilters([{ ...filter, invisible: "True", type: "filter" }]);
            } else {
                this._notify();
            }
        }

        /**
         * Tell the day of the report to what acts on its rows, as the server finds it
         * in the domain: buttons and exports of selected rows have no domain.
         */
        _getContext() {
            const days = this._getDomain()
                .filter((term) => term[0] === "as_of" && ["=", "<=", "in"].includes(term[1]))
                .map((term) => [term[2]].flat()[0])
                .filter((day) => ISO_DATE.test(day));
            const context = super._getContext();
            return days.length ? { ...context, billing_as_of: days.sort()[0] } : context;
        }

        /** Return the facets with a leaf that `isDate` accepts, and what is in them. */
        _getDatedGroups(isDate) {
            return this._getGroups()
                .map((group) => ({ group, items: this._getItemLeaves(group) }))
                .filter(({ items }) => items.some(({ leaves }) => leaves.some(isDate)));
        }

        _getItemLeaves(group) {
            return group.activeItems.flatMap((item) => {
                const domain = this._getSearchItemDomain(item);
                if (!domain) {
                    return [];
                }
                const terms = new Domain(domain).toList(this.domainEvalContext);
                const leaves = terms.filter((term) => Array.isArray(term));
                return [{ searchItemId: item.searchItemId, domain, leaves }];
            });
        }
    };
