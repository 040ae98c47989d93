"""A picture of predictions with error bars, by the standard library alone.

A plain install has no matplotlib. With it, the same picture is one line:
`skbayes.inspection.IntervalDisplay.from_estimator(regressor, X, y)`.
"""

from html import escape
from pathlib import Path

import numpy as np

WIDTH, HEIGHT, LEFT, TOP = 900, 420, 60, 50
INSIDE, OUTSIDE, BAR = "#333333", "#d62728", "#9ecae1"


def save_error_bars(path, y_pred, interval, y_true, title, y_label):
    """Rows in the order of their prediction: interval, mean, target."""
    order = np.argsort(y_pred, kind="stable")
    y_pred, interval, y_true = y_pred[order], interval[order], y_true[order]
    low, high = min(interval.min(), y_true.min()), max(interval.max(), y_true.max())

    def across(row):
        return LEFT + (WIDTH - LEFT - 20) * (row + 0.5) / len(y_pred)

    def up(value):
        return HEIGHT - 40 - (HEIGHT - TOP - 40) * (value - low) / (high - low)

    marks = []
    for row, (mean, (bottom, top), target) in enumerate(zip(y_pred, interval, y_true, strict=True)):
        x, colour = across(row), INSIDE if bottom <= target <= top else OUTSIDE
        marks += [
            f'<path d="M{x:.1f} {up(bottom):.1f}V{up(top):.1f}" stroke="{BAR}" stroke-width="3"/>',
            f'<path d="M{x - 2:.1f} {up(mean):.1f}h4" stroke="#08519c" stroke-width="2"/>',
            f'<circle cx="{x:.1f}" cy="{up(target):.1f}" r="2.2" fill="{colour}"/>',
        ]
    ticks = [
        f'<text x="{LEFT - 8}" y="{up(value) + 4:.1f}" text-anchor="end">{value:.0f}</text>'
        for value in np.linspace(low, high, 5)
    ]
    text = [
        f'<text x="{LEFT}" y="24" font-size="16">{escape(title)}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 12}">held-out rows, by prediction</text>',
        f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)">{escape(y_label)}</text>',
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#222222">'
        '<rect width="100%" height="100%" fill="white"/>'
    )
    Path(path).write_text("\n".join([head, *marks, *ticks, *text, "</svg>"]), encoding="utf-8")
