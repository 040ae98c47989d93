"""What a semi-supervised classifier minimises for a batch of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skbayes.autoencoder._objective import fresh
from skbayes.data._tensors import Data
from skbayes.latent._latent_model import LatentModel, Parameters
from skbayes.latent._normal_latents import NormalLatents
from skbayes.networks import MLPNetwork


@dataclass(frozen=True)
class SemiSupervisedObjective:
    """Negative bound of labelled and unlabelled rows (Kingma et al., 2014, eq. 6 to 9).

    With L(x, y) the negative evidence bound of a row with label y under a conditional
    autoencoder, and q(y | x) the classifier, a labelled row costs L(x, y), and its label
    -log q(y | x); an unlabelled row costs the mean of L(x, y) + log q(y | x) over q: every
    label is tried, none drawn. All in nats, averaged over rows.

    Attributes
    ----------
    model : LatentModel
        With one context column a class.
    classifier : MLPNetwork
        Networks (S, P) of logits; each member is trained on the same batches.
    labelled : Data
        All labelled rows, with indicators of their labels as context.
    log_class_prior : Tensor of shape (n_classes,)
        Log p(y).
    share_labelled : float
        Labelled rows' share of the total weight.
    label_weight : float
        How often a label counts for each unlabelled row.
    warm_up : float
        Share of the training in which the classifiers learn from labels alone, and the
        autoencoder from their guesses.
    prior_scales : Tensor of shape (P,)
        Standard deviations of the normal prior of the classifier's weights.
    total_weight : float
        Sum of all rows' weights.
    batch_size : int
        Labelled rows of a batch.
    """

    model: LatentModel
    classifier: MLPNetwork
    labelled: Data
    log_class_prior: Tensor
    share_labelled: float
    label_weight: float
    warm_up: float
    prior_scales: Tensor
    total_weight: float
    batch_size: int

    def __call__(
        self, parameters: Parameters, rows: Data, generator: torch.Generator, progress: float
    ) -> Tensor:
        """Mean loss of unlabelled rows and a draw of labelled ones.

        Where every row is labelled, the rows are these, and none are drawn.
        """
        penalty = self._penalty(parameters)
        if self.share_labelled == 1.0:
            return penalty + self._labelled(
                parameters, fresh(rows, self.model, generator), generator
            )
        labelled = fresh(self._draw_labelled(generator), self.model, generator)
        loss = self._labelled(parameters, labelled, generator)
        guided = progress >= self.warm_up
        rest = self._unlabelled(parameters, fresh(rows, self.model, generator), generator, guided)
        return penalty + loss + (1 - self.share_labelled) * rest

    def _penalty(self, parameters: Parameters) -> Tensor:
        """Mean over members of the negative log prior of their weights, a row."""
        white = parameters["classifier"] / self.prior_scales
        return 0.5 * white.square().sum(1).mean() / self.total_weight

    def _draw_labelled(self, generator: torch.Generator) -> Data:
        n = len(self.labelled)
        if n <= self.batch_size:
            return self.labelled
        index = torch.randint(n, (self.batch_size,), generator=generator, device=generator.device)
        return self.labelled.rows(index)

    def _labelled(self, parameters: Parameters, rows: Data, generator: torch.Generator) -> Tensor:
        assert rows.context is not None
        noise = self._noise(rows, generator)
        bound = self._bound(parameters, rows, rows.context, noise)
        log_prior = rows.context @ self.log_class_prior
        misfit = -(self._log_q(parameters, rows) * rows.context).sum(-1).mean(0)
        counted = self.share_labelled + self.label_weight * (1 - self.share_labelled)
        return _mean(self.share_labelled * (bound - log_prior) + counted * misfit, rows)

    def _unlabelled(
        self, parameters: Parameters, rows: Data, generator: torch.Generator, guided: bool = True
    ) -> Tensor:
        """Mean cost of rows; unless ``guided``, it does not move the classifiers."""
        n_classes = len(self.log_class_prior)
        labels = torch.eye(n_classes, dtype=rows.X.dtype, device=rows.X.device)
        # The same noise for every label, so that their bounds differ by the labels alone.
        noise = self._noise(rows, generator)
        bound = self._bound(parameters, rows, labels[:, None], noise)
        log_q = self._log_q(parameters, rows)
        log_q = log_q if guided else log_q.detach()
        cost = (bound - self.log_class_prior[:, None]).T + log_q
        return _mean((log_q.exp() * cost).sum(-1).mean(0), rows)

    def _noise(self, rows: Data, generator: torch.Generator) -> Tensor:
        shape = len(rows), self.model.network.n_latents
        return torch.randn(shape, dtype=rows.X.dtype, device=rows.X.device, generator=generator)

    def _log_q(self, parameters: Parameters, rows: Data) -> Tensor:
        """Log probabilities (S, N, n_classes) by the classifier's members."""
        logits = self.classifier.forward(parameters["classifier"], rows.X)
        return torch.log_softmax(logits, -1)

    def _bound(self, parameters: Parameters, rows: Data, labels: Tensor, noise: Tensor) -> Tensor:
        """Negative evidence bound (N,) or, for labels (n_classes, 1, n_classes), one each."""
        codes = self._encode(parameters, rows, labels)
        z = codes.draw(noise)
        log_prob = self.model.log_prob(parameters, replace(rows, context=labels), z)
        return codes.kl_to_standard().sum(-1) - log_prob

    def _encode(self, parameters: Parameters, rows: Data, labels: Tensor) -> NormalLatents:
        """Codes (N, q), or (n_classes, N, q), of rows under labels."""
        folded = labels.flatten(0, -2)
        if labels.ndim == 3:  # rows are seen once with each label
            folded = folded.repeat_interleave(len(rows), 0)
        latents = self.model.encode(parameters, replace(rows, context=folded))
        shape = (-1, *latents.mean.shape[1:]) if labels.ndim == 2 else (len(labels), len(rows), -1)
        return NormalLatents(latents.mean.view(shape), latents.root.view(shape))


def _mean(values: Tensor, rows: Data) -> Tensor:
    """Weighted mean over rows; weights are 1 on average over all batches."""
    return (rows.weight * values).mean()
