import {registry} from "@web/core/registry";
import {_t} from "@web/core/l10n/translation";

const PATH = "billing-review";

/**
 * After *Post and send*: say what happened and put the next draft in the place of the
 * one that left. The view stays the same, with the order and the filters of the list
 * it was opened from, so that a morning of reviews piles up no breadcrumbs.
 */
async function openNextDraft(env, action) {
    const {message, type, res_id: following, reload} = action.params;
    const {action: actionService, notification, orm} = env.services;
    notification.add(message, {type, sticky: type === "warning"});
    const controller = actionService.currentController;
    if (reload || controller?.action.path !== PATH || controller.view.type !== "form") {
        return {type: "ir.actions.client", tag: "soft_reload"};
    }
    const {resId, modelState} = controller.getLocalState();
    const listed = modelState.config.resIds;
    const left = await orm.search("account.move", [
        ["id", "in", listed],
        ["state", "=", "draft"],
    ]);
    const place = listed.indexOf(resId);
    const resIds = listed.filter((id) => left.includes(id));
    const nextId =
        resIds.find((id) => listed.indexOf(id) > place) ||
        resIds[0] ||
        // A draft that was opened by its address has no list: go on with any other.
        (listed.length === 1 && following);
    if (!nextId) {
        notification.add(_t("That was the last draft to review."), {type: "info"});
        return actionService.switchView("list");
    }
    return actionService.switchView("form", {
        resId: nextId,
        resIds: resIds.length ? resIds : [nextId],
    });
}

registry.category("actions").add("crm_billing_handoff.next_draft", openNextDraft);
