"""Five additions, each one file and one line in a registry: the seams of the house hold.

SWAG and the half-t scale prior stayed in the package; these three are here.
"""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from skbayes import BayesianAutoencoder, VAETransformer, io
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.latent import BOTTLENECKS, LATENT_PRIORS
from skbayes.networks import WAYS_BACK, MLPNetwork
from skbayes.training import Training
from tests.additions.adversarial import play
from tests.additions.categorical_prior import CategoricalPrior
from tests.additions.torch_network import ModuleNetwork, TorchCNN
from tests.additions.vector_quantised import VectorQuantised

HERE = Path(__file__).parent
X = load_digits().data[:300] / 16
#: The most lines of an addition, docstrings, comments and blanks apart.
MOST_LINES = 120


@pytest.mark.parametrize("path", sorted(HERE.glob("*.py")), ids=lambda path: path.name)
def test_an_addition_is_short(path):
    assert path.name.startswith("test_") or code_lines(path.read_text()) <= MOST_LINES


def code_lines(source):
    """Lines of a module without docstrings, comments and blanks."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    tree = ast.parse(source)
    texts = [node.body[0] for node in ast.walk(tree) if isinstance(node, kinds) and node.body]
    texts = [one for one in texts if isinstance(getattr(one, "value", None), ast.Constant)]
    documented = {line for one in texts for line in range(one.lineno, one.end_lineno + 1)}
    lines = enumerate(source.splitlines(), 1)
    return sum(
        bool(text.strip()) and not text.strip().startswith("#") and number not in documented
        for number, text in lines
    )


# --- a network from torch.nn ---------------------------------------------------------


def test_a_module_is_the_network_that_it_says():
    network = TorchCNN().encoder(64, 3)
    weights = network.init(2, torch.Generator().manual_seed(0))
    rows = torch.from_numpy(X[:5]).float()
    both = network.forward(weights, rows)
    assert both.shape == (2, 5, 3)
    module = TorchCNN().encoder(64, 3).module.to_empty(device="cpu")
    torch.nn.utils.vector_to_parameters(weights[1], module.parameters())
    assert_allclose(both[1].numpy(), module(rows).detach().numpy(), atol=1e-6)


def test_a_linear_module_is_the_linear_network():
    ours, theirs = MLPNetwork(4, 2, ()), ModuleNetwork(torch.nn.Linear(4, 2, device="meta"), 4, 2)
    assert [(b.role, b.shape, b.fan_in, b.slice) for b in ours.layout] == [
        (b.role, b.shape, b.fan_in, b.slice) for b in theirs.layout
    ]
    weights = ours.init(3, torch.Generator().manual_seed(0))
    rows = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    assert_allclose(ours.forward(weights, rows), theirs.forward(weights, rows), atol=1e-6)


def test_it_is_a_part_of_autoencoders():
    vae = VAETransformer(2, encoder=TorchCNN(), scale_inputs="global", random_state=0)
    one, many = (vae.set_params(training__max_iter=n).fit(X).score(X) for n in (1, 200))
    assert many > one + 1
    bae = BayesianAutoencoder(2, encoder=TorchCNN(), inference="map", scale_inputs="global")
    assert bae.set_params(inference__max_iter=20).fit(X).predict(X).shape == X.shape


# --- codes ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quantised():
    rng = np.random.default_rng(0)
    centres = np.array([[4.0, 0, 0], [0, 4, 0], [0, 0, 4], [-4, -4, 0]])
    label = rng.integers(4, size=600)
    rows = centres[label] + 0.3 * rng.normal(size=(600, 3))
    vae = VAETransformer(
        2,
        bottleneck=VectorQuantised(n_codes=8),
        latent_prior=CategoricalPrior(),
        training=Training(max_iter=600, learning_rate=0.01),
        random_state=0,
    )
    return vae.fit(rows), rows, label


def test_codes_tell_groups_apart(quantised):
    vae, rows, label = quantised
    codes = np.unique(vae.transform(rows).round(4), axis=0, return_inverse=True)[1].ravel()
    assert all(len(np.unique(label[codes == code])) == 1 for code in np.unique(codes))
    error = ((vae.reconstruct(rows) - rows) ** 2).mean()
    within = 0.3**2
    assert error < 2 * within


def test_rates_are_those_of_the_shares(quantised):
    """The prior's shares are those of the codes: the rate is the codes' entropy."""
    vae, rows, _ = quantised
    logits = torch.from_numpy(vae._parameters["prior_logits"])[:8]
    codes = vae._encode(vae._rows(rows)[1])
    found = np.unique(codes.mean.numpy().round(4), axis=0, return_counts=True)[1] / len(rows)
    shares = np.sort(torch.softmax(logits, 0).numpy())[::-1]
    assert_allclose(shares[: len(found)], np.sort(found)[::-1], atol=0.1)
    assert shares[: len(found)].sum() > 0.9


def test_there_is_no_density_and_it_says_so(quantised):
    vae, rows, _ = quantised
    with pytest.raises(EvidenceUnavailableError, match="have no density"):
        vae.score_samples(rows)
    with pytest.raises(EvidenceUnavailableError, match="have no density"):
        vae.score_evidence()


def test_files_hold_them_once_they_are_trusted(quantised, tmp_path):
    vae, rows, _ = quantised
    io.save(vae, tmp_path / "codes.skbayes")
    own = [f"{kind.__module__}.{kind.__qualname__}" for kind in (VectorQuantised, CategoricalPrior)]
    loaded = io.load(tmp_path / "codes.skbayes", trusted=own)
    assert_array_equal(loaded.transform(rows), vae.transform(rows))


def test_registered_they_have_names(monkeypatch):
    monkeypatch.setitem(WAYS_BACK, "torch_cnn", TorchCNN)
    assert VAETransformer(encoder="torch_cnn").set_params(encoder__side=16).encoder.side == 16
    monkeypatch.setitem(BOTTLENECKS, "vq", VectorQuantised)
    monkeypatch.setitem(LATENT_PRIORS, "categorical", CategoricalPrior)
    assert VAETransformer(bottleneck="vq").set_params(bottleneck__n_codes=3).bottleneck.n_codes == 3


# --- a game --------------------------------------------------------------------------


def test_the_game_ends_where_it_should():
    """At the optimum the generator draws the data, and the value is -log 4."""
    generator = torch.Generator().manual_seed(0)
    rows = 2.0 + 0.5 * torch.randn(2000, 1, generator=generator)
    networks = MLPNetwork(1, 1, ()), MLPNetwork(1, 1, (16,))
    trained, losses, game = play(rows, *networks, n_steps=5000)
    drawn = game.drawn(trained["generator"], 4000)
    assert abs(drawn.mean() - 2.0) < 0.1
    assert abs(drawn.std() - 0.5) < 0.1
    assert abs(losses[-1] + math.log(4)) < 0.02
