"""
Temperature scaling beside a posterior
======================================

Temperature scaling (Guo et al., 2017) divides a network's logits by one number, learned on
folds. It mends confidence on rows like those of the folds, and can do nothing for rows unlike
any. A posterior takes no folds and doubts strange rows; on digits that it knows, Laplace's is
here less sure than it might be, and has the worse log loss.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skbayes import BayesianMLPClassifier
from skbayes.metrics import expected_calibration_error

X, y = load_digits(return_X_y=True)
known = y < 8
X_train, X_test, y_train, y_test = train_test_split(
    X[known] / 16, y[known], train_size=300, random_state=0, stratify=y[known]
)
strange = X[~known] / 16
network = MLPClassifier((30,), alpha=1e-4, max_iter=1000, random_state=0)
models = {
    "MLPClassifier": network,
    "temperature scaled": CalibratedClassifierCV(network, method="temperature", cv=3),
    "skbayes, laplace": BayesianMLPClassifier(
        (30,), inference="laplace", scale_inputs="global", random_state=0
    ),
}

# %%
# Calibration on digits 0 to 7, and how sure each is of 8s and 9s, which it never saw.

sure = {}
for name, model in models.items():
    p = model.fit(X_train, y_train).predict_proba(X_test)
    sure[name] = model.predict_proba(strange).max(axis=1)
    print(
        f"{name:20} log loss {log_loss(y_test, p):.3f}, calibration error "
        f"{expected_calibration_error(y_test, p):.3f}, median confidence in strange digits "
        f"{np.median(sure[name]):.2f}"
    )
plt.hist(list(sure.values()), bins=np.linspace(0, 1, 11), label=list(sure))
plt.xlabel("probability of the most probable class")
plt.ylabel("8s and 9s, never seen")
plt.legend(loc="upper left")
plt.show()
