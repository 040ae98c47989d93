"""Training objectives of variational autoencoders, as parts of the estimator."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

from skbayes.autoencoder._corruption import Corruption
from skbayes.autoencoder._objective import Objective
from skbayes.latent._divergences import DIVERGENCES
from skbayes.latent._latent_model import LatentModel
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import Interval, StrOptions

_SHARE = Interval(Real, 0, 1, closed="both")
_FACTOR = Interval(Real, 0, None, closed="left")


class TrainingObjective(Parametrised):
    """Base of objectives.

    Attributes
    ----------
    trains_widths : bool
        Whether it moves the widths of q(z | x); where it does not, they are Laplace's.
    """

    trains_widths: ClassVar[bool] = True
    warm_up: float

    def bind(self, model: LatentModel, corruption: Corruption | None) -> Objective:
        """Make the loss of a batch under a model.

        Parameters
        ----------
        model : LatentModel
            Encoder, decoder, likelihood and latent prior.
        corruption : Corruption or None
            What the encoder sees in place of rows.

        Returns
        -------
        loss : Objective
        """
        raise NotImplementedError(f"{type(self).__name__} must define bind")


class ELBO(TrainingObjective):
    """Evidence lower bound, E_q[log p(x | z)] - beta KL(q(z | x), p(z)).

    Parameters
    ----------
    beta : float, default=1.0
        Factor of the divergence; with 1 the bound is that of the likelihood. Less of it
        leaves latents more of the rows (Higgins et al., 2017).
    free_bits : float, default=0.0
        Nats of divergence of each latent that cost nothing, against latents that fall idle
        (Kingma et al., 2016); needs a latent prior whose latents are independent.
    warm_up : float, default=0.2
        Share of a first training over which ``beta`` rises from 0, so that latents are used
        before their divergence is counted.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling (2014), Auto-encoding variational Bayes, ICLR.
    .. [2] I. Higgins et al. (2017), beta-VAE: learning basic visual concepts with a
       constrained variational framework, ICLR.
    .. [3] D. P. Kingma et al. (2016), Improved variational inference with inverse
       autoregressive flow, NIPS 29.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VAETransformer
    >>> from skbayes.autoencoder import ELBO
    >>> vae = VAETransformer(2, objective=ELBO(beta=0.2), random_state=0)
    >>> vae.set_params(objective__beta=0.5, training__max_iter=50).fit(load_iris().data).objective
    ELBO(beta=0.5)
    """

    _parameter_constraints: dict = {
        "beta": [_FACTOR],
        "free_bits": [_FACTOR],
        "warm_up": [_SHARE],
    }

    def __init__(self, beta: float = 1.0, free_bits: float = 0.0, warm_up: float = 0.2) -> None:
        self.beta = beta
        self.free_bits = free_bits
        self.warm_up = warm_up

    def bind(self, model: LatentModel, corruption: Corruption | None) -> Objective:
        """Make the negative bound of a batch."""
        return Objective(model, "kl", self.beta, self.free_bits, self.warm_up, 1, corruption)


class ImportanceBound(TrainingObjective):
    """Importance-weighted bound, log mean_k p(x, z_k) / q(z_k | x): tighter with more draws.

    Parameters
    ----------
    n_samples : int, default=5
        Draws of the latents of a row; with 1 it is the evidence lower bound.
    warm_up : float, default=0.2
        Share of a first training over which p(z) / q(z | x) is raised to a power that rises
        from 0 to 1.

    References
    ----------
    Y. Burda, R. Grosse and R. Salakhutdinov (2016), Importance weighted autoencoders, ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VAETransformer
    >>> from skbayes.autoencoder import ImportanceBound
    >>> from skbayes.training import Training
    >>> bound = ImportanceBound(n_samples=8)
    >>> vae = VAETransformer(2, objective=bound, training=Training(max_iter=50), random_state=0)
    >>> vae.fit(load_iris().data).score_samples(load_iris().data[:2]).shape
    (2,)
    """

    _parameter_constraints: dict = {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "warm_up": [_SHARE],
    }

    def __init__(self, n_samples: int = 5, warm_up: float = 0.2) -> None:
        self.n_samples = n_samples
        self.warm_up = warm_up

    def bind(self, model: LatentModel, corruption: Corruption | None) -> Objective:
        """Make the negative bound of a batch."""
        return Objective(model, "kl", 1.0, 0.0, self.warm_up, self.n_samples, corruption)


class Matched(TrainingObjective):
    """Likelihood at mean latents, whose law over a batch is matched to the latent prior.

    The loss is -log p(x | z) at the mean latents, plus ``weight`` times the number of columns
    times a distance between the latents of a batch and as many draws of the latent prior (a
    Wasserstein autoencoder). Nothing trains the widths of q(z | x): `predict_std` takes
    Laplace's.

    Parameters
    ----------
    divergence : {"mmd", "sliced_wasserstein", "energy", "kernel"}, default="mmd"
        The distance: maximum mean discrepancy, sliced Wasserstein, energy, or that of
        Cramér and Wold.
    weight : float, default=1.0
        Factor of the distance.
    warm_up : float, default=0.2
        Share of a first training over which ``weight`` rises from 0.

    References
    ----------
    I. Tolstikhin, O. Bousquet, S. Gelly and B. Schölkopf (2018), Wasserstein auto-encoders,
    ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VAETransformer
    >>> from skbayes.autoencoder import Matched
    >>> from skbayes.training import Training
    >>> matched = Matched("energy", weight=2.0)
    >>> vae = VAETransformer(2, objective=matched, training=Training(max_iter=50), random_state=0)
    >>> vae.fit_transform(load_iris().data).shape
    (150, 2)
    """

    trains_widths: ClassVar[bool] = False
    _parameter_constraints: dict = {
        "divergence": [StrOptions(set(DIVERGENCES))],
        "weight": [_FACTOR],
        "warm_up": [_SHARE],
    }

    def __init__(self, divergence: str = "mmd", weight: float = 1.0, warm_up: float = 0.2) -> None:
        self.divergence = divergence
        self.weight = weight
        self.warm_up = warm_up

    def bind(self, model: LatentModel, corruption: Corruption | None) -> Objective:
        """Make the loss of a batch."""
        distance = DIVERGENCES[self.divergence]
        return Objective(model, distance, self.weight, 0.0, self.warm_up, 1, corruption)


#: Objectives by the names that variational autoencoders accept.
OBJECTIVES: dict[str, type[TrainingObjective]] = {
    "elbo": ELBO,
    "importance_bound": ImportanceBound,
    "matched": Matched,
}
