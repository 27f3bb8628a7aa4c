"""Device, precision and compiler."""

import shutil

import pytest
import torch

from heatflow.errors import InputError
from heatflow.learning import engine as engine_module
from heatflow.learning.engine import Engine, has_bfloat16
from heatflow.learning.network import NetworkInNetwork


def test_device_that_is_not_there_is_refused():
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no usable CUDA GPU"):
            Engine.choose("cuda")
    assert Engine.choose("cpu").device.type == "cpu"


def test_auto_takes_bfloat16_where_the_processor_has_it_and_never_compiles_on_a_cpu(monkeypatch):
    for able in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {"avx512_bf16": able})
        assert has_bfloat16(torch.device("cpu")) == able
        assert Engine.choose("cpu", passes=10**9) == Engine(
            torch.device("cpu"), "bfloat16" if able else "float32", compiled=False
        )
    assert str(Engine(torch.device("cpu"), "float64")).endswith("float64")


def test_compiler_that_does_not_work_is_said_and_done_without(monkeypatch):
    monkeypatch.setattr(engine_module, "compiler_fault", lambda device: "InvalidCxxCompiler: none")
    said = []
    assert not Engine.choose("cpu", "float32", compile=True, on_fallback=said.append).compiled
    assert said == ["InvalidCxxCompiler: none"]


def test_networks_are_compiled_to_learn_but_not_to_predict(monkeypatch):
    compiled = []
    monkeypatch.setattr(engine_module, "_compiled", lambda device: compiled.append(device) or engine_module._run)
    engine, network = Engine(torch.device("cpu"), compiled=True), NetworkInNetwork(classes=2, channels=[4])
    assert engine.class_maps(network, torch.ones(2, 1, 40, 40)).shape[:2] == (2, 2)
    with torch.no_grad():
        assert engine.forward(network, torch.ones(2, 1, 40, 40)).shape == (2, 2)
        engine.class_maps(network, torch.ones(2, 1, 40, 40))
    assert compiled == ["cpu"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_networks_train_as_eager_ones_and_share_their_code(fit, recipe):
    engine, recipe = Engine.choose("cpu", "float32", compile=True), recipe.model_copy(update={"epochs": 30})
    assert engine.compiled
    _, eager, _ = fit(recipe, dropout=0.0)
    _, history, _ = fit(recipe, engine, dropout=0.0)
    assert history[0]["train_loss"] == pytest.approx(eager[0]["train_loss"], rel=1e-3)
    assert history[-1]["validation_accuracy"] > 0.9
    with torch.compiler.set_stance("fail_on_recompile"):
        fit(recipe, engine, dropout=0.0)
