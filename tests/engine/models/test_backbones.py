import copy

import pytest
import torch
import torchvision
from torch import nn

from engine.errors import UserError
from engine.models.backbones import (
    MisfitError,
    backbone_names,
    build,
    count_parameters,
    default_weights,
    features,
    preprocessing,
)
from engine.models.trainable import state_hash

FAMILIES = [
    ("resnet18", 64),
    ("mobilenet_v3_small", 64),
    ("mnasnet0_5", 64),
    ("squeezenet1_1", 64),
    ("shufflenet_v2_x0_5", 64),
    ("regnet_y_400mf", 64),
    ("efficientnet_b0", 64),
    ("densenet121", 64),
    ("googlenet", 64),
]
HEAVY = [
    pytest.param("inception_v3", 75, marks=pytest.mark.slow),
    pytest.param("vit_b_32", 224, marks=pytest.mark.slow),
]
SMALL = "shufflenet_v2_x0_5"


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def images(count=2, size=64):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def reference(backbone):
    """torchvision's own model with its own 1000 outputs, as with pretrained weights, with batch-norm values of use."""
    arguments = {"init_weights": True, "transform_input": True} if backbone in ("inception_v3", "googlenet") else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        module = torchvision.models.get_model(backbone, weights=None, **arguments).eval()
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return module


@pytest.mark.parametrize(("backbone", "size"), FAMILIES + HEAVY)
def test_pretrained_values_give_torchvisions_own_logits(backbone, size):
    module = reference(backbone)
    state = dict(module.state_dict())
    network = build(backbone, 1000, "head", state, seed=0)
    last = module.get_submodule(network.head_name)
    network.head.load_state_dict(last.state_dict())
    with torch.no_grad():
        expected = module(images(size=size))
        torch.testing.assert_close(network.module(images(size=size)), expected)
        torch.testing.assert_close(network.head(features(network, images(size=size))), expected)


@pytest.mark.parametrize(("backbone", "size"), FAMILIES)
def test_only_the_head_of_a_frozen_backbone_trains(backbone, size):
    network = build(backbone, 3, "head", None, seed=0)
    trainable = [name for name, parameter in network.module.named_parameters() if parameter.requires_grad]
    assert sorted(trainable) == [f"{network.head_name}.bias", f"{network.head_name}.weight"]
    frozen, head = state_hash(network.module, network.head_name), state_hash(network.head)

    optimizer = torch.optim.SGD(network.head.parameters(), lr=0.1)
    network.module.train()
    logits = network.module(images(size=size))
    assert logits.shape == (2, 3)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    optimizer.step()

    assert state_hash(network.module, network.head_name) == frozen
    assert state_hash(network.head) != head
    assert not any(isinstance(part, nn.modules.batchnorm._BatchNorm | nn.Dropout) and part.training
                   for part in network.module.modules())  # fmt: skip


def test_fine_tuning_moves_every_parameter_and_batch_norm():
    network = build("resnet18", 3, "all", None, seed=0)
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    assert all(part.training for part in network.module.modules())
    optimizer = torch.optim.SGD(network.module.parameters(), lr=0.1)
    torch.nn.functional.cross_entropy(network.module(images(4)), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()
    still = [name for name, value in network.module.state_dict().items() if torch.equal(value, before[name])]
    assert not still
    assert count_parameters(network.module) == (11_178_051, 11_178_051)


def test_the_head_trains_on_features():
    network = build("mobilenet_v3_small", 2, "head", None, seed=0)
    inputs = features(network, images())
    assert inputs.shape == (2, 1024)
    assert not inputs.requires_grad
    network.head(inputs).sum().backward()
    assert network.head.weight.grad is not None
    assert count_parameters(network.module) == (1_519_906, 2_050)


def test_evaluation_mode_and_a_copy_of_a_frozen_backbone():
    network = build(SMALL, 2, "head", None, seed=0)
    twin = copy.deepcopy(network.module)
    network.module.eval()
    assert not network.head.training
    twin.train()
    assert twin.get_submodule(network.head_name).training
    assert not twin.conv1.training
    assert not network.head.training


def test_random_values_depend_on_the_seed_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = state_hash(build(SMALL, 2, "all", None, seed=3).module)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert state_hash(build(SMALL, 2, "all", None, seed=3).module) == first
    assert state_hash(build(SMALL, 2, "all", None, seed=4).module) != first


def test_a_pretrained_backbones_head_depends_on_the_seed():
    state = reference(SMALL).state_dict()
    one, same, other = (build(SMALL, 2, "head", state, seed) for seed in (0, 0, 1))
    assert state_hash(one.head) == state_hash(same.head) != state_hash(other.head)
    assert state_hash(one.module, one.head_name) == state_hash(other.module, one.head_name)


@pytest.mark.parametrize(
    ("backbone", "name", "dropout"),
    [("mobilenet_v3_small", "classifier.3", 0.2), ("squeezenet1_1", "classifier.1", 0.5), ("resnet18", "fc", 0.0)],
)
def test_dropout_before_the_head(backbone, name, dropout):
    network = build(backbone, 2, "head", None, seed=0)
    assert (network.head_name, network.dropout) == (name, dropout)
    assert network.module.get_submodule(name) is network.head


def test_files_with_densenets_old_names():
    state = reference("densenet121").state_dict()
    old = {
        name.replace(".norm1.", ".norm.1.").replace(".norm2.", ".norm.2.").replace(".conv2.", ".conv.2."): value
        for name, value in state.items()
    }
    assert old.keys() != state.keys()
    built = [build("densenet121", 2, "head", values, seed=0).module for values in (old, state)]
    assert state_hash(built[0]) == state_hash(built[1])


def test_files_from_before_batch_norm_counted():
    state = reference(SMALL).state_dict()
    old = {name: value for name, value in state.items() if not name.endswith(".num_batches_tracked")}
    assert len(old) < len(state)
    built = [build(SMALL, 2, "head", values, seed=0).module for values in (old, state)]
    assert state_hash(built[0]) == state_hash(built[1])


def test_values_of_another_model_are_refused():
    state = dict(reference(SMALL).state_dict())
    build(SMALL, 2, "all", state | {"fc.weight": torch.zeros(3, 1024), "fc.bias": torch.zeros(3)}, seed=0)
    with pytest.raises(MisfitError, match=r"conv1\.0\.weight is \(1, 2\), not "):
        build(SMALL, 2, "all", state | {"conv1.0.weight": torch.zeros(1, 2)}, seed=0)
    with pytest.raises(MisfitError, match=r"has more \(1 in all\)"):
        build(SMALL, 2, "all", state | {"more": torch.zeros(1)}, seed=0)
    with pytest.raises(MisfitError, match=r"not the weights of resnet18: it lacks conv1\.weight \(\d+ in all\)"):
        build("resnet18", 2, "all", state, seed=0)


def test_an_unknown_backbone_is_one_line_with_close_names():
    with pytest.raises(UserError, match=r"^backbone: .*'resnet8'; did you mean .*resnet18") as caught:
        build("resnet8", 2, "all", None, seed=0)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="such as resnet18"):
        preprocessing("qqqqqqqq", None)


def test_preprocessing_is_the_weights_own():
    assert len(backbone_names()) >= 80
    for backbone in backbone_names():
        transforms = default_weights(backbone).transforms()
        found = preprocessing(backbone, None)
        assert ([found.resize], [found.crop]) == (transforms.resize_size, transforms.crop_size)
        assert (list(found.mean), list(found.std)) == (list(transforms.mean), list(transforms.std))


def test_another_image_size_keeps_the_proportion():
    assert preprocessing("resnet18", 112).resize == 128
    assert preprocessing("resnet18", 112).crop == 112
    assert preprocessing("inception_v3", 75).resize == 86
    with pytest.raises(UserError, match="image_size: inception_v3 needs images of at least 75 pixels, not 64"):
        preprocessing("inception_v3", 64)
    with pytest.raises(UserError, match="image_size: vit_b_16 takes images of 224 pixels only, not 256"):
        preprocessing("vit_b_16", 256)
