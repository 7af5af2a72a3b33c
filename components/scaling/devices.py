"""Facts of accelerators that a plan of time and money rests on, each with its source; the command line overrides any of them."""

from dataclasses import dataclass

STATE_BYTES_PER_PARAM = 16  # fp32 weights, gradients and Adam's two moments; activations come on top


@dataclass(frozen=True)
class Device:
    """One accelerator. ``mfu``: share of the peak that training reaches. ``price_usd_per_hour``: None where no source states one."""

    name: str
    peak_flops_per_second: float
    memory_bytes: float
    mfu: float
    price_usd_per_hour: float | None
    source: str


DEVICES = {
    device.name: device
    for device in (
        Device("a100-40gb", 312e12, 40e9, 0.29, None, "peak: NVIDIA, dense bf16; MFU: derived from nanoGPT's README, GPT-2 124M on 8"),
        Device(
            *("a100-80gb", 312e12, 80e9, 0.60, 1.6),
            "peak: NVIDIA, dense bf16; MFU and price: llm.c's GPT-2 124M on 8, 94 minutes for about 20 USD",
        ),
        Device(
            *("h100-80gb", 989e12, 80e9, 0.49, 3.5),
            "peak: NVIDIA, dense bf16, SXM; MFU and price: llm.c's GPT-2 1558M on 8, 24 hours for about 672 USD",
        ),
    )
}
