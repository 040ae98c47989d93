"""The information of many classes, of which no row needs a matrix of its own.

Of a softmax with probabilities p the information of a row's logits is diag(p) - p p', with the
root diag(r) - p r', r the roots of p. Written out it takes K² numbers a row, and K³ operations
to be pulled back through K outputs; its sum over rows and what hidden units see of it take K²
operations a row and K times their number.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.likelihoods import Categorical, Sites

#: Classes beyond which rows have no matrices of their own: K³ operations for each would be
#: most of a curvature's, and K² numbers most of its memory.
MANY_CLASSES = 50
#: Numbers of a block of rows: they pass several times, and should stay in the cache.
CLASS_ELEMENTS = 2**21
#: Multiply-adds of one curvature from which on the search does with few of them.
LABORIOUS = 1e9


def has_many_classes(model: Model) -> bool:
    """Whether the outputs are the logits of a softmax over many classes."""
    kind = type(model.likelihood)
    own = (kind.fisher, kind.fisher_root) == (Categorical.fisher, Categorical.fisher_root)
    return issubclass(kind, Categorical) and own and model.network.n_outputs > MANY_CLASSES


def has_many_sites(model: Model) -> bool:
    """Whether a row has labels of so many sites that no row can have a matrix of its own."""
    return isinstance(model.likelihood, Sites) and model.network.n_outputs > MANY_CLASSES


def is_laborious(model: Model, data: Data) -> bool:
    """Whether Kronecker factors take as long as dozens of training steps.

    Those of many classes, or of convolutions, which each output asks for a pass backward.
    """
    n_classes = model.network.n_outputs
    if model.network.has_places:
        return len(data) * n_classes * model.network.row_work > LABORIOUS
    if not has_many_classes(model):
        return False
    units = sum(block.shape[0] ** 2 for block in model.network.layout[:-2:2])
    return float(len(data)) * n_classes * (units + n_classes) > LABORIOUS


@dataclass
class ClassInformation:
    """Weighted information of the rows' logits, or of outputs that are factors on them.

    Attributes
    ----------
    p : Tensor of shape (K, n)
        Class probabilities of the rows.
    weight : Tensor of shape (n,)
        Their likelihood exponents.
    factor : Tensor of shape (K,)
        On the logits.
    """

    p: Tensor
    weight: Tensor
    factor: Tensor

    @classmethod
    def at(cls, model: Model, data: Data, mode: Tensor) -> ClassInformation:
        """At a mode (1, n_params)."""
        outputs = model.network.forward(model.weights(mode), data.X)
        p = model.likelihood.probabilities(outputs)[0].T
        return cls(p, data.weight, torch.ones_like(p[:, 0]))

    def pull_back(self, grads: Tensor) -> Tensor:
        """Root (out, K, n) of it through gradients (K, out, n) of the logits."""
        mean = torch.einsum("kn,kon->on", self.p, grads)
        return ((grads - mean) * (self.weight * self.p).sqrt()[:, None]).transpose(0, 1)

    def scaled(self, factor: Tensor) -> ClassInformation:
        """That of outputs which are so many (K,) times as wide."""
        return ClassInformation(self.p, self.weight, self.factor * factor.to(self.factor))

    def gram(self) -> Tensor:
        """Sum (K, K) over the rows, in double: its smallest eigenvalue is a difference."""
        p, factor = self.p.double(), self.factor.double()
        weighted = p * self.weight
        information = torch.diag(weighted.sum(1)) - weighted @ p.T
        return information * factor * factor[:, None]

    def written_out(self) -> Tensor:
        """Its root (K, K, n), row by row."""
        root = (self.weight * self.p).sqrt()
        eye = torch.eye(len(root)).to(root)[..., None]
        return (eye - self.p[:, None]) * root * self.factor[:, None, None]
