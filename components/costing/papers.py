"""What the papers' models cost, from one formula and beside what the papers print; what no paper says is called so.

Compute as GPT-3's table D.1 counts it: 6 operations for each parameter and token (3 for T5, half of whose parameters see a token), no
attention, in days of 1e15 operations a second.
"""

from dataclasses import dataclass

from components.transformer.presets import PRESETS

PF_DAY = 8.64e19  # FLOP
NOT_IN_PAPER = "not in the paper"
TABLE_D1 = "GPT-3, table D.1"


@dataclass(frozen=True)
class PaperCompute:
    """Training compute of one model. ``printed_pf_days`` and ``n_tokens`` are None where nobody has printed them."""

    model: str
    n_params: float
    n_tokens: float | None
    flops_per_param_token: float
    printed_pf_days: float | None
    source: str

    @property
    def pf_days(self) -> float | None:
        """By the formula."""
        return None if self.n_tokens is None else self.flops_per_param_token * self.n_params * self.n_tokens / PF_DAY


@dataclass(frozen=True)
class DeviceTime:
    """So many devices for so long. ``usd_per_hour``: of one device, None where no source says."""

    model: str
    devices: int
    device: str
    hours: float
    usd_per_hour: float | None
    source: str

    @property
    def cost_usd(self) -> float | None:
        """Devices x hours x price."""
        return None if self.usd_per_hour is None else self.devices * self.hours * self.usd_per_hour


GPT3_PRINTED_PF_DAYS = {
    "gpt3-small": 2.60,
    "gpt3-medium": 7.42,
    "gpt3-large": 15.8,
    "gpt3-xl": 27.5,
    "gpt3-2.7b": 55.2,
    "gpt3-6.7b": 139,
    "gpt3-13b": 268,
    "gpt3-175b": 3640,
}
OTHERS_OF_TABLE_D1 = (  # parameters and tokens as printed there
    PaperCompute("BERT-Base", 109e6, 250e9, 6, 1.89, TABLE_D1),
    PaperCompute("BERT-Large", 355e6, 250e9, 6, 6.16, TABLE_D1),
    PaperCompute("RoBERTa-Large", 355e6, 2000e9, 6, 49.3, TABLE_D1),
    PaperCompute("T5-3B", 3000e6, 1000e9, 3, 104, TABLE_D1),
    PaperCompute("T5-11B", 11000e6, 1000e9, 3, 382, TABLE_D1),
)
DEVICE_TIMES = (
    DeviceTime("BERT-Base", 4, "Cloud TPU", 4 * 24, None, "BERT, appendix A.2; no price there"),
    DeviceTime("BERT-Large", 16, "Cloud TPU", 4 * 24, None, "BERT, appendix A.2; no price there"),
    DeviceTime("GPT-2 1.5B", 32, "TPU v3", 7 * 24, 8.0, f"{NOT_IN_PAPER}: A. Karpathy on llm.c, 32 for a week at 8 USD"),
)


def paper_compute() -> list[PaperCompute]:
    """GPT-3's eight sizes with our exact counts of parameters, the others of its table D.1, and GPT-2's four, whose tokens nobody tells."""
    gpt3 = [
        PaperCompute(name, PRESETS[name].parameters, _tokens(name), 6, printed, TABLE_D1) for name, printed in GPT3_PRINTED_PF_DAYS.items()
    ]
    untold = f"{NOT_IN_PAPER}: neither tokens nor compute"
    gpt2 = [PaperCompute(name, preset.parameters, None, 6, None, untold) for name, preset in PRESETS.items() if name.startswith("gpt2-")]
    return [*gpt3, *OTHERS_OF_TABLE_D1, *gpt2]


def _tokens(name: str) -> float:
    tokens = PRESETS[name].training["train_tokens"]
    assert tokens is not None, "GPT-3 tells it for every size"
    return tokens
