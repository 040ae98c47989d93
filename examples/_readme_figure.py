"""Draw the README's figure from the README's own snippets.

Runs the three snippets as they stand, and draws what they leave behind:
`python examples/_readme_figure.py` (needs matplotlib).
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from _snippets import run, snippets

from skbayes.inspection import IntervalDisplay, UncertaintyDisplay

ROOT = Path(__file__).parent.parent


def main():
    """Run each snippet, then draw its panel."""
    page, names = ROOT / "README.md", {}
    _, axes = plt.subplots(1, 3, figsize=(15, 4.3), layout="constrained")
    panels = (draw_error_bars, draw_doubt, draw_search)
    for snippet, draw, ax in zip(snippets(page)[:3], panels, axes, strict=True):
        print(run(snippet, names, page))
        draw(names, ax)
    plt.savefig(ROOT / "docs" / "images" / "readme.png", dpi=80)


def draw_error_bars(names, ax):
    """Held-out rows of diabetes with their 90% intervals."""
    IntervalDisplay.from_estimator(names["reg"], names["X"][300:], names["y"][300:], ax=ax)
    ax.set(title="Error bars: diabetes, 142 held-out patients", ylabel="disease progression")


def draw_doubt(names, ax):
    """Mutual information over two petal measurements, the rows, and the asked flowers."""
    petals, y, (seen, strange) = names["X"][:, 2:], names["y"], names["flowers"]
    display = UncertaintyDisplay.from_estimator(
        names["clf"], petals, kind="mutual_information", margin=1.4, ax=ax
    )
    for label, colour in zip(range(3), ("C1", "C2", "C3"), strict=True):
        display.ax_.plot(*petals[y == label].T, ".", color=colour)
    for flower, text, colour in ((seen, "known", "k"), (strange, "I don't know", "w")):
        ax.plot(*flower, "*", color=colour, markersize=12)
        where = {"xytext": (0, -16), "textcoords": "offset points", "ha": "center"}
        ax.annotate(text, flower, color=colour, **where)
    ax.set(title="Doubt: iris, what more data would settle (nats)")
    ax.set(xlabel="petal length (cm)", ylabel="petal width (cm)")


def draw_search(names, ax):
    """Cross-validated log loss of every candidate."""
    results = names["search"].cv_results_
    loss, error = -results["mean_test_score"], results["std_test_score"] / 3**0.5
    labels = [
        f"{p['inference']}, prior {p['prior']}, scale {p['prior__scale']}"
        for p in results["params"]
    ]
    colours = ["C0" if p["inference"] == "laplace" else "C1" for p in results["params"]]
    ax.barh(range(len(loss)), loss, xerr=error, color=colours, alpha=0.8)
    ax.set_yticks(range(len(loss)), labels)
    ax.invert_yaxis()
    ax.set(title="Search: iris, priors and engines", xlabel="log loss of held-out folds (nats)")


if __name__ == "__main__":
    main()
