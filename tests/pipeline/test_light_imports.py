"""Loading less must change nothing: the same training, with and without the stand-ins, in fresh processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TRAIN = """
import hashlib, json, logging, sys, warnings
warnings.simplefilter("ignore")
from flows import light_imports
if "light" in sys.argv:
    light_imports.install()
import lightning.pytorch as pl
import torch

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 1))
    def training_step(self, batch, index):
        loss = self.layers(batch).square().mean()
        self.log("loss", loss)
        return loss
    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

torch.manual_seed(0)
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
module = Module()
loader = torch.utils.data.DataLoader(torch.randn(80, 8), batch_size=4)
quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
pl.Trainer(accelerator="cpu", max_steps=20, gradient_clip_val=1.0, **quiet).fit(module, loader)
weights = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in module.parameters())).hexdigest()
heavy = sorted({"torch._dynamo.convert_frame", "scipy.signal", "matplotlib", "sympy"} & set(sys.modules))
if "touch" in sys.argv:
    import torchmetrics
    from lightning.fabric import wrappers
    compiled = torch.compile(module.layers, backend="eager")
    torch.compile(lambda x: x * 2)  # asks inductor for its modes
    import torch._inductor.utils
    is_compiled = [isinstance(model, wrappers.OptimizedModule) for model in (compiled, module)]
    real = [torchmetrics.Accuracy.__name__, torch._inductor.config.deterministic, *is_compiled]
else:
    real = []
print(json.dumps({"weights": weights, "heavy": heavy, "real": real}))
"""


def train(*arguments: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", TRAIN, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.pipeline
@pytest.mark.slow
def test_light_and_plain_training_give_the_same_weights() -> None:
    plain, light = train("plain"), train("light")
    assert plain["weights"] == light["weights"]
    assert len(plain["heavy"]) == 4  # type: ignore[arg-type]  # else there is nothing left to avoid and the module can go
    assert light["heavy"] == []


@pytest.mark.pipeline
def test_what_is_needed_after_all_is_the_real_thing() -> None:
    assert train("light", "touch")["real"] == ["Accuracy", True, True, False]
