"""One look for every picture of the site: colours that colour-blind readers tell apart."""

import matplotlib as mpl
import matplotlib.pyplot as plt

#: Okabe and Ito (2008), without yellow and with blue first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


def reset(gallery_conf, name):
    """Called before each page."""
    plt.close("all")
    mpl.rcdefaults()
    plt.rcParams.update(
        {
            "axes.prop_cycle": mpl.cycler(color=COLOURS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "image.cmap": "cividis",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )
