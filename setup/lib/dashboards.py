"""Spreadsheet dashboards: written from a short description, with and without data.

Odoo's own dashboards are JSON files that nobody can read or edit by hand. Ours are
described in `dashboard_boards.py`, of the parts in `dashboard_parts.py`;
`setup/dashboards` writes the files of both: charts on live reports, and a sample with
example figures for an empty database.
"""

import json
import uuid

from .dashboard_parts import FORMATS, WHOLE
from .paths import ADDONS

VERSION = "18.5.10"  # of the file format, as Odoo 19 ships it
FILES = ADDONS / "crm_billing_reports" / "data" / "files"
NAMESPACE = uuid.UUID("6f1c2a5e-6c0f-4d5b-9b0a-0d8f3b6a7c11")

WIDTH, GAP = 1000, 10  # pixels
TOP, CARD, CHART, ROW = 11, 109, 300, 23
TABLE_ROW, TITLE_ROW = 27, 40
COLUMNS = (240, 140, 100, 40, 240, 140, 100)

STYLES = {
    "1": {"textColor": "#01666b", "bold": True, "fontSize": 16},
    "2": {"textColor": "#434343", "bold": True, "fontSize": 11},
    "3": {"textColor": "#434343", "verticalAlign": "middle"},
    "4": {"textColor": "#434343", "bold": True, "fontSize": 11, "align": "right"},
}
FIGURES = "EFGHIJ"  # columns of a chart's figures; its labels stand in D
MOST_ROWS = 24  # of a chart whose figures come from a pivot: two years of months


def write(boards):
    """Write all files; return those that have changed."""
    changed = []
    for path, text in _render_all(boards):
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed.append(path.name)
    return changed


def check(boards):
    """Return the names of files that are not what the description says."""
    return [
        path.name
        for path, text in _render_all(boards)
        if not path.exists() or path.read_text() != text
    ]


def _render_all(boards):
    for board in boards:
        for sample in (False, True):
            middle = "_sample" if sample else ""
            path = FILES / f"{board.name}{middle}_dashboard.json"
            content = Writer(board, sample).render()
            yield path, json.dumps(content, indent=1, ensure_ascii=False) + "\n"


class Writer:
    """Writes one board as a spreadsheet: what is seen, and a sheet of numbers."""

    def __init__(self, board, sample):
        self.board, self.sample = board, sample
        self.pivots, self.cells, self.data, self.figures = {}, {}, {}, []
        self.styles, self.row_sizes, self.menus, self.formats = {}, {}, {}, {}
        self.tables = []
        self._next_row = 1

    def render(self):
        self._add_cards()
        self._add_charts()
        self._add_tables()
        front = self._sheet("Dashboard", self.cells, self.figures)
        return {
            "version": VERSION,
            "sheets": [front, self._sheet("Data", self.data, [])],
            "styles": STYLES,
            "formats": FORMATS,
            "borders": {},
            "revisionId": "START_REVISION",
            "uniqueFigureIds": True,
            "settings": {"locale": _LOCALE},
            "pivots": self.pivots,
            "pivotNextId": len(self.pivots) + 1,
            "customTableStyles": {},
            "globalFilters": [] if self.sample else self._filters(),
            "lists": {},
            "listNextId": 1,
            "chartOdooMenusReferences": {} if self.sample else self.menus,
        }

    # === FILTERS === #

    def _id(self, *names):
        """Return an identifier that stays the same each time the file is written."""
        return str(uuid.uuid5(NAMESPACE, "/".join((self.board.name, *names))))

    def _filters(self):
        found = []
        for one in self.board.filters:
            values = {"id": self._id("filter", one.key), "label": one.label}
            if one.kind == "date":
                values |= {"type": "date", "defaultValue": one.default}
            else:
                values |= {"type": "relation", "modelName": one.model}
                if one.default:
                    values["defaultValue"] = one.default
            found.append(values)
        return found

    def _matching(self, source):
        found = {}
        for one in self.board.filters:
            if chain := source.fields.get(one.key):
                kind = {"type": "date", "offset": 0} if one.kind == "date" else {}
                found[self._id("filter", one.key)] = {
                    "chain": chain,
                    "type": "many2one",
                    **kind,
                }
        return found

    def _pivot(self, source, measures, rows=(), domain=(), name=None, is_sorted=True):
        """Add a pivot; ``rows`` are fields, or ``field:granularity``."""
        number = str(len(self.pivots) + 1)
        self.pivots[number] = {
            "type": "ODOO",
            "id": number,
            "formulaId": number,
            "name": name or source.model,
            "model": source.model,
            "domain": list(domain),
            "context": {},
            "fieldMatching": self._matching(source),
            "measures": [{"id": name, "fieldName": name} for name in measures],
            "rows": [_dimension(row) for row in rows],
            "columns": [],
            "sortedColumn": {"measure": measures[0], "order": "desc", "domain": []}
            if rows and is_sorted
            else None,
        }
        return number

    # === WHAT IS SEEN === #

    def _add_cards(self):
        number = len(self.board.cards)
        width = (WIDTH - GAP * (number - 1)) // number
        for position, card in enumerate(self.board.cards):
            row = position + 1
            self.data[f"A{row}"] = f'=_t("{card.title}")'
            asked = ((card.source, card.measure), card.beside)
            for column, (source, measure), figure in zip(
                "BC", asked, card.sample, strict=True
            ):
                cell = f"{column}{row}"
                self.data[cell] = self._card_value(card, source, measure, figure)
                if shown := WHOLE if measure.startswith("days") else card.format:
                    self.formats[cell] = shown
            figure = self._figure("card", card.title, width, CARD)
            figure["offset"] = {"x": position * (width + GAP), "y": TOP}
            figure["data"] |= {
                "type": "scorecard",
                "title": {"text": card.title, "color": "#434343", "bold": True},
                "background": "#EFF6FF",
                "keyValue": f"Data!B{row}",
                "baseline": f"Data!C{row}",
                "baselineMode": "text",
                "baselineDescr": {"text": card.note},
                "baselineColorDown": "#DC6965",
                "baselineColorUp": "#00A04A",
                # Rounded to thousands; but Odoo cannot round a dash.
                "humanize": not card.format,
            }
            self.menus[figure["id"]] = card.source.menu
            self.figures.append(figure)

    def _card_value(self, card, source, measure, figure):
        if self.sample:
            return str(figure)
        domain = card.domain if source is card.source else ()
        pivot = self._pivot(source, [measure], domain=domain)
        value = f'PIVOT.VALUE({pivot},"{measure}")'
        # Nothing there is empty, or an error: both are a dash.
        return f'=IFERROR(IF({value}="","–",{value}),"–")'

    def _add_charts(self):
        top = TOP + CARD + GAP
        for position, chart in enumerate(self.board.charts):
            width = (WIDTH - GAP) // 2
            figure = self._figure("chart", chart.title, width, CHART)
            figure["offset"] = {
                "x": (position % 2) * (width + GAP),
                "y": top + (position // 2) * (CHART + GAP),
            }
            figure["data"] |= {
                "title": {"text": chart.title, "color": "#434343", "bold": True},
                "background": "#FFFFFF",
                "legendPosition": "top" if len(chart.series) > 1 else "none",
                "stacked": chart.stacked,
                "fillArea": chart.kind == "line",
            }
            figure["data"] |= (
                self._sample_chart(chart)
                if self.sample
                else self._pivot_chart(chart)
                if chart.measures
                else self._live_chart(chart)
            )
            self.menus[figure["id"]] = chart.source.menu
            self.figures.append(figure)

    def _live_chart(self, chart):
        group_by = list(chart.group_by)
        return {
            "type": f"odoo_{chart.kind}",
            "dataSets": [{}],
            "verticalAxisPosition": "left",
            "cumulatedStart": False,
            "metaData": {
                "groupBy": group_by,
                "measure": chart.measure,
                "order": chart.order,
                "resModel": chart.source.model,
                "mode": chart.kind,
                "cumulatedStart": False,
            },
            "searchParams": {
                "comparison": None,
                "context": {},
                "domain": list(chart.domain),
                "groupBy": group_by,
                "orderBy": [],
            },
            "fieldMatching": self._matching(chart.source),
        }

    def _pivot_chart(self, chart):
        """Return a chart of the cells that a pivot fills in, one series a measure."""
        rows = chart.group_by
        pivot = self._pivot(
            chart.source, chart.measures, rows, chart.domain, is_sorted=False
        )
        first = self._next_row
        self.data[f"D{first}"] = f"=PIVOT({pivot}, {MOST_ROWS}, FALSE, FALSE)"
        return self._cell_chart(chart, first, MOST_ROWS)

    def _sample_chart(self, chart):
        first = self._next_row
        for row, (label, figures) in enumerate(chart.sample.items(), first + 1):
            self.data[f"D{row}"] = label
            for column, figure in zip(FIGURES, figures, strict=False):
                self.data[f"{column}{row}"] = str(figure)
        for column, name in zip(FIGURES, chart.series, strict=False):
            self.data[f"{column}{first}"] = name or chart.title
        return self._cell_chart(chart, first, len(chart.sample))

    def _cell_chart(self, chart, first, rows):
        """Return a chart of the cells below the row ``first``, which has the titles."""
        last = first + rows
        self._next_row = last + 2
        colors = chart.colors or (None,) * len(chart.series)
        return {
            "type": chart.kind,
            "dataSetsHaveTitle": True,
            "dataSets": [
                {
                    "dataRange": f"Data!{column}{first}:{column}{last}",
                    "yAxisId": "y",
                    **({"backgroundColor": color} if color else {}),
                }
                for column, color in zip(FIGURES, colors, strict=False)
            ],
            "labelRange": f"Data!D{first}:D{last}",
            "labelsAsText": True,
            "aggregated": False,
        }

    def _figure(self, *names_and_size):
        *names, width, height = names_and_size
        identifier = self._id(*names)
        return {
            "id": identifier,
            "width": width,
            "height": height,
            "tag": "chart",
            "data": {"chartId": identifier},
            "col": 0,
            "row": 0,
        }

    def _add_tables(self):
        """Lay out tables two by two, below the rows that the charts cover."""
        lines = (len(self.board.charts) + 1) // 2
        height = TOP + CARD + GAP + lines * (CHART + GAP) + GAP
        top = -(-height // ROW) + 1
        for position, table in enumerate(self.board.tables):
            left = "ABC" if position % 2 == 0 else "EFG"
            first = top + (position // 2) * (table.rows + 3)
            self._add_table(table, left, first)

    def _add_table(self, table, columns, row):
        title, head = f"{columns[0]}{row}", row + 1
        self.cells[title] = f'=_t("{table.title}")'
        self.styles[title] = 1
        self.row_sizes[str(row - 1)] = {"size": TITLE_ROW}
        last = columns[len(table.measures)]
        self.styles[f"{columns[0]}{head}"] = 2
        self.styles[f"{columns[1]}{head}:{last}{head}"] = 4
        self.styles[f"{columns[0]}{head + 1}:{last}{head + table.rows}"] = 3
        self.tables.append(_frame(f"{columns[0]}{head}:{last}{head + table.rows}"))
        if self.sample:
            for down, line in enumerate(table.sample):
                for column, value in zip(columns, line, strict=False):
                    self.cells[f"{column}{head + down}"] = str(value)
        else:
            pivot = self._pivot(
                table.source,
                table.measures,
                [table.group_by],
                table.domain,
                name=table.sample[0][0],
            )
            self.cells[f"{columns[0]}{head}"] = (
                f"=PIVOT({pivot}, {table.rows}, FALSE, FALSE)"
            )

    def _sheet(self, name, cells, figures):
        front = name == "Dashboard"
        return {
            "id": self._id("sheet", name),
            "name": name,
            "colNumber": len(COLUMNS) if front else 12,
            "rowNumber": 100,
            "rows": self.row_sizes if front else {},
            "cols": {str(number): {"size": size} for number, size in enumerate(COLUMNS)}
            if front
            else {},
            "merges": [],
            "cells": cells,
            "styles": self.styles if front else {},
            "formats": {} if front else self.formats,
            "borders": {},
            "conditionalFormats": [],
            "dataValidationRules": [],
            "figures": figures,
            "tables": self.tables if front else [],
            "areGridLinesVisible": not front,
            "isVisible": True,
            "headerGroups": {"ROW": [], "COL": []},
            "comments": {},
        }


def _dimension(row):
    name, _colon, granularity = row.partition(":")
    return {"fieldName": name} | ({"granularity": granularity} if granularity else {})


def _frame(place):
    return {
        "range": place,
        "type": "static",
        "config": {
            "hasFilters": False,
            "totalRow": False,
            "firstColumn": False,
            "lastColumn": False,
            "numberOfHeaders": 1,
            "bandedRows": True,
            "bandedColumns": False,
            "automaticAutofill": True,
            "styleId": "None",
        },
    }


_LOCALE = {
    "name": "English (US)",
    "code": "en_US",
    "thousandsSeparator": ",",
    "decimalSeparator": ".",
    "dateFormat": "mm/dd/yyyy",
    "timeFormat": "hh:mm:ss",
    "formulaArgSeparator": ",",
    "weekStart": 7,
}
