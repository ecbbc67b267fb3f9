from __future__ import annotations

import pytest

from lora_assets.finetuning.checkpoints import FinetuningError


def _wanted():
    import torch

    wanted = torch.zeros(2, 16, 16)
    wanted[:, 4:12, 4:12] = 1
    return wanted


WEIGHTS = {"focal_weight": 20.0, "balanced_weight": 0.0, "dice_weight": 1.0, "iou_weight": 1.0}


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_much():
    import torch

    from lora_assets.finetuning.losses import answer_losses

    wanted, inside = _wanted(), torch.ones(2, 16, 16)
    right = (20 * (wanted * 2 - 1))[:, None]
    good = answer_losses(right, torch.ones(2, 1), wanted, inside, **WEIGHTS)
    bad = answer_losses(-right, torch.ones(2, 1), wanted, inside, **WEIGHTS)
    assert float(good.total) < 1e-3
    assert good.iou == 1
    assert bad.iou == 0
    assert float(bad.total) > 1
    assert bad.iou_error == 1


def test_only_the_best_candidate_learns_its_mask_and_every_estimate_learns():
    import torch

    from lora_assets.finetuning.losses import answer_losses

    wanted, inside = _wanted(), torch.ones(2, 16, 16)
    signs = torch.tensor([-1.0, 1.0, -0.5])
    logits = ((wanted * 2 - 1)[:, None] * signs[None, :, None, None]).requires_grad_()
    estimates = torch.full((2, 3), 0.5, requires_grad=True)
    answer_losses(logits, estimates, wanted, inside, **WEIGHTS).total.backward()
    assert logits.grad is not None
    assert estimates.grad is not None
    assert (logits.grad.abs().sum(dim=(0, 2, 3)) > 0).tolist() == [False, True, False]
    assert (estimates.grad != 0).all()


def test_pixels_off_the_page_do_not_count():
    import torch

    from lora_assets.finetuning.losses import answer_losses

    wanted, inside = _wanted(), torch.zeros(2, 16, 16)
    inside[:, :, :8] = 1
    logits = (20 * (wanted * 2 - 1))[:, None].clone()
    logits[..., 8:] *= -1
    losses = answer_losses(logits, torch.ones(2, 1), wanted, inside, **WEIGHTS)
    assert losses.iou == 1
    assert float(losses.total) == pytest.approx(0, abs=1e-3)


def test_to_answer_nothing_costs_the_balanced_loss_as_much_as_to_answer_everything():
    import torch

    from lora_assets.finetuning.losses import balanced_loss, focal_loss

    wanted, inside = torch.zeros(2, 1, 16, 16), torch.ones(2, 1, 16, 16)
    wanted[0, :, 4:6, 4:6] = wanted[1, :, :12] = 1
    inside[1, :, :, 12:] = 0
    nothing, everything = torch.full((2, 3, 16, 16), -6.0), torch.full((2, 3, 16, 16), 6.0)
    told = balanced_loss(nothing, wanted, inside)
    assert told.shape == (2, 3)
    assert torch.allclose(told, balanced_loss(everything, wanted, inside), atol=1e-5)
    assert float(told.min()) > 10 * float(balanced_loss((wanted * 2 - 1) * 6.0, wanted, inside).max())
    # The focal loss of a small thing is another matter.
    assert float(focal_loss(nothing, wanted, inside)[0].max()) < float(focal_loss(everything, wanted, inside)[0].min())
    # What is off the page counts for neither half.
    beyond = nothing.clone()
    beyond[1, :, :, 12:] = 50
    assert torch.equal(balanced_loss(beyond, wanted, inside), told)


def test_adapters_change_nothing_at_first_and_merge_into_the_weights():
    import torch
    from torch import nn

    from lora_assets.finetuning.adapters import AdaptedLinear, add_adapters, merge_adapters

    torch.manual_seed(0)
    module = nn.ModuleDict({"qkv": nn.Linear(6, 9), "mlp": nn.Linear(6, 6)})
    names = list(module.state_dict())
    given = torch.randn(4, 6)
    before = module["qkv"](given)
    assert add_adapters(module, rank=2, alpha=4.0) == 1
    adapted = module["qkv"]
    assert isinstance(adapted, AdaptedLinear)
    assert torch.equal(adapted(given), before)
    with torch.no_grad():
        adapted.up.normal_()
    changed = adapted(given)
    assert not torch.allclose(changed, before)
    assert {name for name, value in module.named_parameters() if value.requires_grad} == {
        "qkv.down", "qkv.up", "mlp.weight", "mlp.bias",
    }  # fmt: skip
    merge_adapters(module)
    assert list(module.state_dict()) == names
    assert torch.allclose(module["qkv"](given), changed, atol=1e-5)


def test_an_empty_answer_to_a_thing_smaller_than_half_a_cell_is_wrong():
    import torch

    from lora_assets.finetuning.losses import answer_losses

    wanted, inside = torch.zeros(2, 16, 16), torch.ones(2, 16, 16)
    wanted[:, 5, 5] = 0.3
    wanted[:, 5, 6] = 0.1
    empty = torch.full((2, 1, 16, 16), -10.0)
    told = answer_losses(empty, torch.ones(2, 1), wanted, inside, **WEIGHTS)
    assert (told.iou, told.iou_error) == (0, 1)
    empty[:, :, 5, 5] = 10
    assert answer_losses(empty, torch.ones(2, 1), wanted, inside, **WEIGHTS).iou == 1


def test_a_module_without_attention_takes_no_adapters():
    from torch import nn

    from lora_assets.finetuning.adapters import add_adapters

    with pytest.raises(FinetuningError, match=r'no linear layer of attention.*encoder = "frozen"'):
        add_adapters(nn.Sequential(nn.Linear(2, 2)), rank=2, alpha=2.0)
