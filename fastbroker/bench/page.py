"""Results as one page that needs nothing else: the plots, the table, what went wrong, and how it was measured."""

from html import escape

from fastbroker.bench.machine import in_words
from fastbroker.bench.result import Report
from fastbroker.bench.table import Cell, Row, Table, problems, tables

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #333; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .7rem; text-align: right; vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; border-bottom: 1px solid #999; }
td { border-bottom: 1px solid #e3e3e3; }
small { display: block; color: #777; font-weight: normal; }
.wrong { color: #b02020; }
footer { color: #777; font-size: .85rem; margin-top: 2rem; }
"""


def page(report: Report, svg: str) -> str:
    """The page as HTML, with the plots in it."""
    title = "Benchmark of " + ", ".join(dict.fromkeys(result.server.name for result in report.results))
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width">',
            f"<style>{STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            svg,
            *(f'<div class="wide">{_table(table)}</div>' for table in tables(report.results)),
            *(f'<p class="wrong">{escape(problem)}</p>' for problem in problems(report.results)),
            f"<footer><p>{escape(report.method.text)}</p><p>{escape(in_words(report.machine))}</p></footer>",
            "</body></html>",
            "",
        ]
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column.title)}{_small(column.unit)}</th>" for column in table.columns)
    return f"<table><tr><th>scenario</th>{head}</tr>{''.join(map(_row, table.rows))}</table>"


def _row(row: Row) -> str:
    start = '<tr class="wrong">' if row.wrong else "<tr>"
    return f"{start}<td>{escape(row.name)}{_small(row.wrong)}</td>{''.join(map(_cell, row.cells))}</tr>"


def _cell(cell: Cell) -> str:
    return f"<td>{escape(cell.text)}{_small(cell.span)}</td>"


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""
