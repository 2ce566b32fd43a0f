import {registry} from "@web/core/registry";
import {user} from "@web/core/user";
import {_t} from "@web/core/l10n/translation";

const MENU = "crm_billing_handoff.billing_menu_root";
const MANAGER = "crm_billing_handoff.group_billing_manager";

/**
 * Tell a billing manager who opens the Billing menu what does not work. It is the road
 * on which the news arrive when no job runs and no mail leaves.
 */
export const healthService = {
    dependencies: ["action", "menu", "notification", "orm"],
    start(env, {action, menu, notification, orm}) {
        let isOpen = false;
        let told = "[]";

        async function look() {
            const opens = menu.getCurrentApp()?.xmlid === MENU;
            if (opens === isOpen) {
                return;
            }
            isOpen = opens;
            if (!isOpen || !(await user.hasGroup(MANAGER))) {
                return;
            }
            const alarms = await orm.silent.call("crm.billing.watch", "get_alarms", []);
            const news = JSON.stringify(alarms);
            if (news !== told && alarms.length) {
                tell(alarms);
            }
            told = news;
        }

        function tell(alarms) {
            const close = notification.add(alarms.map((alarm) => alarm[0]).join(", "), {
                title: _t("Billing needs attention"),
                type: "danger",
                sticky: true,
                buttons: [
                    {
                        name: _t("Health"),
                        primary: true,
                        onClick: () => {
                            close();
                            action.doAction(
                                "crm_billing_handoff.crm_billing_watch_action"
                            );
                        },
                    },
                ],
            });
        }

        env.bus.addEventListener("MENUS:APP-CHANGED", () => look().catch(() => {}));
    },
};

registry.category("services").add("crm_billing_handoff.health", healthService);
