"""
Classes that were never seen
============================

A classifier of the digits 0 to 7 is shown 8s and 9s. It has to name one of the eight, but it
can say that it does not know: mutual information ranks rows by how much the draws of the
posterior disagree. To *flag* rows, take a threshold from held-out rows of known classes: here
the value that 5% of them exceed.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from skbayes import BayesianMLPClassifier

X, y = load_digits(return_X_y=True)
known = y < 8
X_train, X_rest, y_train, _ = train_test_split(
    X[known], y[known], train_size=600, random_state=0, stratify=y[known]
)
X_hold, X_test = X_rest[:300], X_rest[300:]
clf = BayesianMLPClassifier((20,), inference="deep_ensemble", scale_inputs="global", random_state=0)
clf.set_params(inference__n_members=5, inference__max_iter=150).fit(X_train, y_train)


def doubt(X):
    return clf.predict_uncertainty(X).mutual_information


# %%
# Threshold from held-out rows; false alarms and hits on others.

threshold = np.quantile(doubt(X_hold), 0.95)
seen, unseen = doubt(X_test), doubt(X[~known])
auroc = roc_auc_score(np.r_[0 * seen, 0 * unseen + 1], np.r_[seen, unseen])
print(f"AUROC {auroc:.3f}")
flagged = (seen > threshold).mean(), (unseen > threshold).mean()
print(f"flagged: {flagged[0]:.0%} of known, {flagged[1]:.0%} of unseen")

bins = np.linspace(0, max(seen.max(), unseen.max()), 40)
plt.hist(seen, bins, density=True, alpha=0.6, label="digits 0 to 7")
plt.hist(unseen, bins, density=True, alpha=0.6, label="digits 8 and 9, never seen")
plt.axvline(threshold, color="k", linestyle=":", label="threshold")
plt.xlabel("mutual information (nats)")
plt.ylabel("density of rows")
plt.legend()
plt.show()
