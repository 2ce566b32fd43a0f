{
    "name": "CRM Billing: Collections",
    "summary": "Retry, remind and hand over what customers have not paid",
    "version": "19.0.1.0.0",
    "category": "Sales/CRM",
    "author": "CRM Billing Contributors",
    "license": "LGPL-3",
    "depends": ["crm_billing_handoff", "account_payment", "payment_stripe"],
    "external_dependencies": {"python": ["stripe"]},
    "data": [
        "security/crm_dunning_groups.xml",
        "security/ir.model.access.csv",
        "security/crm_dunning_security.xml",
        "views/crm_dunning_case_views.xml",
        "views/crm_dunning_policy_views.xml",
        "views/crm_dunning_menus.xml",
    ],
    "demo": [],
}
