"""A critic trained against a generator (Goodfellow et al., 2014), as a third party would."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.networks import MLPNetwork
from skbayes.training._trainer import train


class Game:
    """Loss of a critic, D, and of a generator, each with the gradients of its own player.

    The critic raises log D(x) + log(1 - D(G(z))); the generator raises log D(G(z)).
    """

    def __init__(self, generator: MLPNetwork, critic: MLPNetwork, noise: torch.Generator) -> None:
        self.generator, self.critic, self.noise = generator, critic, noise

    def drawn(self, weights: Tensor, n: int) -> Tensor:
        """New rows (n, D)."""
        z = torch.randn(n, self.generator.n_inputs, generator=self.noise)
        return self.generator.forward(weights, z)[0]

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Value (1,) of the game, and each player's gradient of its own loss."""
        with torch.enable_grad():
            own = {name: value.detach().requires_grad_() for name, value in params.items()}
            false = self.drawn(own["generator"], len(batch))
            of_true = self.critic.forward(own["critic"], batch.X)
            of_false = self.critic.forward(own["critic"], false.detach())
            critic = softplus(-of_true).mean() + softplus(of_false).mean()
            fooled = softplus(-self.critic.forward(own["critic"].detach(), false)).mean()
            (of_critic,) = torch.autograd.grad(critic, own["critic"])
            (of_generator,) = torch.autograd.grad(fooled, own["generator"])
        return -critic.detach()[None], {"generator": of_generator, "critic": of_critic}


def play(
    X: Tensor, generator: MLPNetwork, critic: MLPNetwork, n_steps: int, seed: int = 0
) -> tuple[dict[str, Tensor], list[float], Game]:
    """Train both; returns their weights, the game's values, and the game."""
    source = torch.Generator().manual_seed(seed)
    game = Game(generator, critic, source)
    start = {"generator": generator.init(1, source), "critic": critic.init(1, source)}
    trained, _, history = train(
        start,
        game,
        Data(X, X, torch.ones(len(X))),
        batch_size=128,
        generator=source,
        engine="Game",
        remedy="",
        max_iter=n_steps,
        learning_rate=3e-3,
        tol=0.0,
        monitor=Monitor("Game", 0),
    )
    return trained, history.losses, game
