"""
Choosing K: the bound, a Dirichlet process, BIC
===============================================

Three clumps of 60 points each. Bishop (2006), section 10.2.4: the variational bound can be
compared over the number of components K, with no penalty to be chosen by hand. Blei and Jordan
(2006): under a Dirichlet process the number need not be chosen at all; K only has to be large
enough. Beside them, scikit-learn's ``GaussianMixture`` with the BIC.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.mixture import GaussianMixture

from skbayes import VariationalGMM

rng = np.random.default_rng(0)
centres = np.array([[0, 0], [4, 1], [1, 5]])
X = np.concatenate([rng.normal(centre, 1.0, (60, 2)) for centre in centres])

# %%
# Left, higher is better for the bound (nats), lower for the BIC (halved: nats too). Right, how
# many components are in use, whatever number the fit was given.

numbers = range(1, 9)
bound = [VariationalGMM(k, n_moves=0, n_init=3, random_state=0).fit(X) for k in numbers]
process = [
    VariationalGMM(k, weight_prior="dirichlet_process", random_state=0).fit(X) for k in numbers
]
bic = [GaussianMixture(k, n_init=3, random_state=0).fit(X).bic(X) / 2 for k in numbers]
evidence = [fit.score_evidence() for fit in bound]
in_use = [fit.n_live_ for fit in process]

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.plot(numbers, evidence, "o-", label="VariationalGMM, bound")
left.plot(numbers, -np.array(bic), "s--", label="GaussianMixture, -BIC / 2")
left.set(xlabel="K", ylabel="nats")
left.legend()
right.plot(numbers, in_use, "o-")
right.plot(numbers, numbers, ":", color="0.5")
right.set(xlabel="K given to the fit", ylabel="components in use (Dirichlet process)")
plt.show()
print("bound prefers", numbers[int(np.argmax(evidence))], "| BIC", numbers[int(np.argmin(bic))])
print("Dirichlet process uses", in_use)
