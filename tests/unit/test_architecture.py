"""Promises about the sources that no linter knows, read from the syntax tree."""

import ast
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("crm_billing_handoff", "crm_dunning", "crm_billing_reports")  # upwards
ADDONS = [path.parent for path in sorted(ROOT.glob("addons/*/__manifest__.py"))]
LONGEST_FILE = 450  # lines; 300 is what we aim at
CLOCKS = {"now", "today", "utcnow", "context_today", "context_timestamp", "time"}

each_addon = pytest.mark.parametrize("addon", ADDONS, ids=lambda path: path.name)


def sources(folder, *suffixes):
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes)


def nodes(path):
    return ast.walk(ast.parse(path.read_text(), str(path)))


def where(path, node):
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def imports(path):
    """Yield ``(node, dotted name)`` of each absolute import."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def rule_files():
    for folder in sorted(ROOT.glob("addons/*/*_rules")):
        for path in sources(folder, ".py"):
            yield folder, path


def test_rules_need_nothing_but_the_standard_library():
    foreign = [
        f"{where(path, node)} imports {name}"
        for folder, path in rule_files()
        for node, name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names | {folder.name}
    ]
    assert not foreign


def test_rules_stay_in_their_package():
    escapes = [
        where(path, node)
        for folder, path in rule_files()
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom)
        and node.level > len(path.relative_to(folder).parts)
    ]
    assert not escapes


def test_rules_do_not_look_at_the_clock():
    looks = [
        where(path, node)
        for _folder, path in rule_files()
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
    ]
    assert not looks


@each_addon
def test_addons_know_only_those_below(addon):
    assert addon.name in LAYERS, "say where it belongs"
    above = LAYERS[LAYERS.index(addon.name) + 1 :]
    known = re.compile(rf"\b({'|'.join(above)})[./]") if above else None
    mentions = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources(addon, ".py", ".xml", ".csv", ".js")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if known and known.search(line)
    ]
    manifest = ast.literal_eval((addon / "__manifest__.py").read_text())
    assert not mentions
    assert not set(above) & set(manifest["depends"])


@each_addon
def test_files_are_short(addon):
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in sources(addon, ".py", ".xml", ".js", ".scss")
    }
    assert not {name: n for name, n in lengths.items() if n > LONGEST_FILE}


@each_addon
def test_sql_is_not_put_together_from_strings(addon):
    def is_built(argument):
        return isinstance(argument, ast.JoinedStr | ast.BinOp) or (
            isinstance(argument, ast.Call)
            and isinstance(argument.func, ast.Attribute)
            and argument.func.attr in ("format", "join")
        )

    built = [
        where(path, node)
        for path in sources(addon, ".py")
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "executemany")
        and node.args
        and is_built(node.args[0])
    ]
    assert not built


@each_addon
def test_texts_are_translated_in_the_language_of_the_user(addon):
    """``self.env._`` knows the language; ``from odoo import _`` guesses it."""
    guesses = [
        where(path, node)
        for path in sources(addon, ".py")
        for node, name in imports(path)
        if name in ("odoo._", "odoo.tools.translate._")
    ]
    assert not guesses


def company_models(addon):
    """Return the stored models of an addon that belong to a company."""
    found = set()
    for path in sources(addon, ".py"):
        for node in nodes(path):
            if not isinstance(node, ast.ClassDef):
                continue
            bases = {
                base.attr for base in node.bases if isinstance(base, ast.Attribute)
            }
            values = {
                target.id: statement.value
                for statement in node.body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name)
            }
            if "Model" in bases and {"_name", "company_id"} <= values.keys():
                found.add(ast.literal_eval(values["_name"]))
    return found


@each_addon
def test_each_company_model_has_its_record_rule(addon):
    rules = {
        record.get("id")
        for path in sources(addon, ".xml")
        for record in ElementTree.parse(path).iter("record")
        if record.get("model") == "ir.rule"
    }
    wanted = {
        f"{name.replace('.', '_')}_rule_company" for name in company_models(addon)
    }
    assert not wanted - rules


@each_addon
def test_each_addon_is_complete(addon):
    wanted = ["README.rst", "pyproject.toml", "static/description/icon.png"]
    wanted.append(f"i18n/{addon.name}.pot")
    assert not [name for name in wanted if not (addon / name).is_file()]


@each_addon
def test_each_addon_is_packaged_with_whool(addon):
    assert 'build-backend = "whool.buildapi"' in (addon / "pyproject.toml").read_text()
