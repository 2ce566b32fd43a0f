{
    "name": "CRM Billing: Reports",
    "summary": "Aging, collections lag, recurring revenue and more, tied to the ledger",
    "version": "19.0.1.0.0",
    "category": "Sales/CRM",
    "author": "CRM Billing Contributors",
    "license": "LGPL-3",
    "depends": ["crm_dunning", "digest", "spreadsheet_dashboard"],
    "data": [
        "security/ir.model.access.csv",
        "security/crm_billing_reports_security.xml",
        "views/crm_billing_reports_menus.xml",
        "security/crm_billing_leak_security.xml",
        "views/crm_billing_leak_report_views.xml",
        "wizards/crm_billing_leak_wizard_views.xml",
        "views/res_config_settings_leak_views.xml",
        "security/crm_billing_books_security.xml",
        "views/crm_billing_crosswalk_views.xml",
        "views/crm_billing_system_views.xml",
        "security/crm_billing_aging_security.xml",
        "views/crm_billing_aging_report_views.xml",
        "views/crm_billing_overdue_report_views.xml",
    ],
    "demo": [
        "demo/res.partner.csv",
        "demo/res.partner-people.csv",
        "demo/crm_billing_agreement_demo.xml",
        "demo/crm_billing_ledger_demo.xml",
    ],
    "assets": {
        "web.assets_backend": [
            "crm_billing_reports/static/src/**/*",
        ],
        "web.assets_tests": [
            "crm_billing_reports/static/tests/tours/**/*",
        ],
    },
}
