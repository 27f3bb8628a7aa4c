"""Saliency methods against computations of their own, and networks that come back as they were."""

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from heatflow.errors import InputError
from heatflow.explanation.attribution import COPIES, NOISE, STEPS, TITLES, attribute, importance
from heatflow.learning.network import NetworkInNetwork

SIZE = 40


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = NetworkInNetwork(classes=3, channels=[5, 6, 7], dropout=0.2, batch_norm=True, head_relu=False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.fixture
def tiles():
    return torch.randn(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


TARGET = torch.tensor([0, 2, 1, 1])


def guided_by_hand(network, tile, target):
    """Guided backpropagation written out, layer by layer, without hooks."""
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d))]
    steps, x = [], tile
    with torch.enable_grad():
        for layer in layers:
            before = x.detach().requires_grad_()
            x = functional.relu(before) if isinstance(layer, nn.ReLU) else layer(before)
            steps.append((layer, before, x))
        back = torch.zeros_like(x)
        back[:, target] = 1 / (x.shape[2] * x.shape[3])  # of the average over the map
        for layer, before, after in reversed(steps):
            back = torch.autograd.grad(after, before, back)[0]
            if isinstance(layer, nn.ReLU):
                back = back.clamp(min=0)
    return back[0, 0].numpy()


def test_guided_backpropagation_agrees_with_a_backward_pass_written_by_hand(network, tiles):
    maps = attribute(network, tiles, TARGET, "guided_backprop", batch_size=3)
    for k in range(4):
        np.testing.assert_allclose(maps[k], guided_by_hand(network, tiles[k : k + 1], TARGET[k]), atol=1e-6)


def test_integrated_gradients_add_up_to_the_difference_from_flat_terrain(network, tiles):
    smooth = functional.avg_pool2d(tiles, 9, 1, 4)
    maps = attribute(network, smooth, TARGET, "integrated_gradients", batch_size=3)
    flat = smooth.mean(dim=(2, 3), keepdim=True).expand_as(smooth)
    with torch.no_grad():
        difference = (network(smooth) - network(flat)).gather(1, TARGET[:, None])[:, 0]
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), difference.numpy(), atol=0.02)


def test_smooth_gradient_is_the_mean_of_gradients_of_noisy_tiles():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False)).eval()
    model[1].weight.data = torch.randn(2, 16, generator=torch.Generator().manual_seed(0)).abs()
    model.append(nn.Softplus())  # the gradient falls as the score does, and noise averages it
    tile = torch.linspace(-0.4, 0.4, 16).reshape(1, 1, 4, 4)
    found = np.mean([attribute(model, tile, torch.tensor([0]), "smooth_gradient", 1)[0] for _ in range(200)], axis=0)
    noisy = tile + 0.08 * torch.randn(4000, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    expected = attribute(model, noisy, torch.zeros(4000, dtype=torch.long), "gradient", 4000).mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=0.03)
    assert np.abs(expected / attribute(model, tile, torch.tensor([0]), "gradient", 1)[0] - 1).max() < 0.2


def test_grad_cam_by_hand(network, tiles):
    layer = network.body[-2]
    found = attribute(network, tiles, TARGET, "grad_cam", batch_size=4)
    kept = {}
    handle = layer.register_forward_hook(lambda module, given, out: kept.update(maps=out))
    scores = network(tiles)
    handle.remove()
    gradient = torch.autograd.grad(scores.gather(1, TARGET[:, None]).sum(), kept["maps"])[0]
    coarse = (gradient.mean(dim=(2, 3), keepdim=True) * kept["maps"]).sum(dim=1, keepdim=True)
    expected = functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(found, expected[:, 0].detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("method", [m for m in TITLES if m != "smooth_gradient"])
def test_batches_do_not_matter(network, tiles, method):
    together = attribute(network, tiles, TARGET, method, batch_size=4)
    for k in range(4):
        alone = attribute(network, tiles[k : k + 1], TARGET[k : k + 1], method, batch_size=1)[0]
        np.testing.assert_allclose(together[k], alone, atol=1e-5)


@pytest.mark.parametrize(("networks", "n_steps", "n_copies"), [(1, STEPS, COPIES), (3, STEPS, 2)])
@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "smooth_gradient"])
@pytest.mark.filterwarnings("ignore:Input Tensor")
def test_batches_agree_with_captum_called_tile_by_tile(network, tiles, method, networks, n_steps, n_copies):
    """On the network as it is, with its batch normalisation unfolded."""
    for k in range(4):
        tile, target = tiles[k : k + 1].clone(), int(TARGET[k])
        torch.manual_seed(k)
        found = attribute(network, tile, TARGET[k : k + 1], method, 1, networks)[0]
        torch.manual_seed(k)
        if method == "integrated_gradients":
            flat = tile.mean() * torch.ones_like(tile)
            steps = [flat + (k + 0.5) / n_steps * (tile - flat) for k in range(n_steps)]
            plain = captum.attr.Saliency(network)
            gradients = [plain.attribute(step, target=target, abs=False) for step in steps]
            expected = (tile - flat) * torch.stack(gradients).mean(dim=0)
        else:
            noisy = method == "smooth_gradient"
            noise, copies = (NOISE * (tile.max() - tile.min()), n_copies) if noisy else (0.0, 1)
            plain = captum.attr.Saliency(network)
            drawn = [tile + (noise * torch.randn_like(tile) if copies > 1 else 0) for _ in range(copies)]
            expected = torch.stack([plain.attribute(t, target=target, abs=False) for t in drawn]).mean(dim=0)
        np.testing.assert_allclose(found, expected[0, 0].detach().numpy(), atol=1e-5)
        if method != "smooth_gradient":
            together = attribute(network, tiles, TARGET, method, 4, networks)[k]
            np.testing.assert_allclose(together, expected[0, 0].detach().numpy(), atol=1e-5)


def state(network):
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in network.modules()]
    inplace = [getattr(m, "inplace", None) for m in network.modules()]
    return [m.training for m in network.modules()], hooks, inplace, [p.requires_grad for p in network.parameters()]


@pytest.mark.parametrize("method", list(TITLES))
def test_a_network_comes_back_as_it_was_also_after_an_error(network, tiles, method):
    network.train()
    network.body[0][2].inplace = True
    next(network.parameters()).requires_grad_(False)
    before = state(network)
    maps = attribute(network, tiles, TARGET, method, batch_size=2)
    assert np.isfinite(maps).all()
    assert state(network) == before
    with pytest.raises((RuntimeError, IndexError, AssertionError)):
        attribute(network, tiles, torch.full((4,), 99), method, batch_size=2)  # there is no such class
    assert state(network) == before


class Small(nn.Module):
    """Two layers with one ReLU: a module, the same module twice, in place, or a function."""

    def __init__(self, kind):
        super().__init__()
        self.first, self.second = nn.Linear(4, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.last = nn.Linear(3, 2, bias=False)
        self.relu, self.kind = nn.ReLU(inplace=kind == "in place"), kind

    def forward(self, x):
        act = torch.relu if self.kind == "function" else self.relu
        return self.last(act(self.second(act(self.first(x.flatten(1))))))


@pytest.mark.parametrize("kind", ["reused", "in place"])
def test_guided_backpropagation_of_one_relu_used_twice_or_in_place(kind):
    torch.manual_seed(3)
    model = Small(kind)
    x = torch.randn(5, 1, 2, 2)
    maps = attribute(model, x, torch.zeros(5, dtype=torch.long), "guided_backprop", 5)
    a, b, c = (layer.weight.detach() for layer in (model.first, model.second, model.last))
    one = x.flatten(1) @ a.T
    two = one.clamp(min=0) @ b.T
    back = (c[0] * (two > 0)).clamp(min=0)
    back = ((back @ b) * (one > 0)).clamp(min=0)
    np.testing.assert_allclose(maps.reshape(5, 4), (back @ a).numpy(), atol=1e-6)
    assert model.relu.inplace == (kind == "in place")


def test_guided_backpropagation_of_a_functional_relu_is_refused():
    model = Small("function")
    with pytest.raises(InputError, match="2 ReLUs of the network are functions"):
        attribute(model, torch.randn(1, 1, 2, 2), torch.tensor([0]), "guided_backprop", 1)
    attribute(model, torch.randn(1, 1, 2, 2), torch.tensor([0]), "gradient", 1)


def test_gradient_agrees_with_finite_differences(network):
    network = network.double()
    tiles = torch.randn(3, 1, SIZE, SIZE, dtype=torch.float64)
    target = torch.tensor([0, 2, 1])
    maps = attribute(network, tiles, target, "gradient", batch_size=2)
    rng = np.random.default_rng(0)
    step = 1e-6
    for k in range(3):
        for i, j in rng.integers(0, SIZE, (8, 2)):
            shifted = tiles[k : k + 1].repeat(2, 1, 1, 1)
            shifted[0, 0, i, j] += step
            shifted[1, 0, i, j] -= step
            up, down = network(shifted)[:, target[k]].detach()
            assert maps[k, i, j] == pytest.approx(float(up - down) / (2 * step), abs=1e-5)


def test_guided_backpropagation_by_hand():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -2.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]]))
        model[3].weight.copy_(torch.tensor([[2.0, -3.0], [1.0, 1.0]]))
    tile = torch.ones(1, 1, 2, 2) * torch.tensor([[3.0, 1.0], [1.0, 1.0]])
    gradient = attribute(model, tile, torch.tensor([0]), "gradient", 1)[0]
    guided = attribute(model, tile, torch.tensor([0]), "guided_backprop", 1)[0]
    # both units are active; the second has weight -3 in class 0, which guided backpropagation drops
    assert gradient.tolist() == [[2.0, -7.0], [-3.0, -1.0]]
    assert guided.tolist() == [[2.0, -4.0], [0.0, 2.0]]


def test_a_change_per_elevation_counts_with_its_size_and_a_part_in_the_score_with_its_sign():
    maps = np.array([-2.0, 1.0])
    assert importance("gradient", maps).tolist() == [2, 1]
    assert importance("grad_cam", maps).tolist() == [-2, 1]
