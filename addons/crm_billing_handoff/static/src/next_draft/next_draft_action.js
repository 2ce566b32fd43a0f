import {registry} from "@web/core/registry";
import {_t} from "@web/core/l10n/translation";

const ACTION = "crm_billing_handoff.account_move_action_to_review";

/**
 * After *Post and send*: say what happened and put the next draft in the place of the
 * one that left, so that a morning of reviews does not pile up breadcrumbs.
 */
async function openNextDraft(env, action) {
    const {message, type, res_id: resId, reload} = action.params;
    env.services.notification.add(message, {type, sticky: type === "warning"});
    if (reload) {
        return {type: "ir.actions.client", tag: "soft_reload"};
    }
    if (!resId) {
        env.services.notification.add(_t("That was the last draft to review."), {
            type: "info",
        });
        return env.services.action.doAction(ACTION, {clearBreadcrumbs: true});
    }
    return env.services.action.doAction(ACTION, {
        viewType: "form",
        stackPosition: "replaceCurrentAction",
        props: {resId},
    });
}

registry.category("actions").add("crm_billing_handoff.next_draft", openNextDraft);
