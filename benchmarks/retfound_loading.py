"""Peak memory of loading RETFound from a file as large as the released one, compared with the encoder's size.

    python -m benchmarks.retfound_loading [--folder /tmp] [--keep]

Writes a file in the layout of RETFound_mae_natureCFP.pth (encoder, MAE decoder, AdamW state of both; random numbers,
about 4 GB), loads it in a new process, and prints that process's peak resident memory before and after, and the size of
the encoder's tensors. The file is removed at the end.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.timm_models import timm

MIB = 2**20
DECODER_WIDTH, DECODER_DEPTH = 512, 8


def decoder_state(patches: int, pixels: int, width: int) -> dict[str, torch.Tensor]:
    """Tensors of RETFound's MAE decoder: 8 blocks with 512 channels, embeddings, and the prediction of pixels."""
    with torch.device("meta"):
        block = timm.models.vision_transformer.Block(DECODER_WIDTH, 16, qkv_bias=True)
    shapes = {
        f"decoder_blocks.{depth}.{k}": v.shape for depth in range(DECODER_DEPTH) for k, v in block.state_dict().items()
    }
    shapes |= {
        "mask_token": (1, 1, DECODER_WIDTH),
        "decoder_pos_embed": (1, patches + 1, DECODER_WIDTH),
        "decoder_embed.weight": (DECODER_WIDTH, width),
        "decoder_embed.bias": (DECODER_WIDTH,),
        "decoder_norm.weight": (DECODER_WIDTH,),
        "decoder_norm.bias": (DECODER_WIDTH,),
        "decoder_pred.weight": (pixels, DECODER_WIDTH),
        "decoder_pred.bias": (pixels,),
    }
    return {key: torch.randn(shape) for key, shape in shapes.items()}


def write_checkpoint(path: Path) -> None:
    """Write a training checkpoint of the released layout."""
    with torch.device("meta"):
        encoder = timm.create_model("vit_large_patch16_224", num_classes=0)
    model = {key: torch.randn(tensor.shape) for key, tensor in encoder.state_dict().items()}
    model |= decoder_state(14 * 14, 3 * 16 * 16, 1024)
    moments = {
        number: {"step": torch.tensor(1.0), "exp_avg": torch.randn(t.shape), "exp_avg_sq": torch.rand(t.shape)}
        for number, t in enumerate(model.values())
    }
    groups = [{"lr": 1e-3, "betas": (0.9, 0.95), "weight_decay": 0.05, "params": list(moments)}]
    optimizer = {"state": moments, "param_groups": groups}
    content = {"model": model, "optimizer": optimizer, "epoch": 799, "scaler": {"scale": 65536.0}}
    torch.save({**content, "args": argparse.Namespace(model="mae_vit_large_patch16", mask_ratio=0.75)}, path)


def report_loading(path: Path) -> None:
    """Print time and memory of loading the file in this process."""
    before = peak_memory()
    started = time.perf_counter()
    encoder = build_encoder(parse_model(f"retfound:{path}"))
    seconds = time.perf_counter() - started
    own = sum(tensor.nbytes for tensor in encoder.state_dict().values())
    after = peak_memory()
    print(f"file {path.stat().st_size / MIB:,.0f} MiB, encoder {own / MIB:,.0f} MiB, loaded in {seconds:.1f} s")
    print(f"peak resident memory {after / MIB:,.0f} MiB, {after / own:.2f} times the encoder (target: at most 2)")
    print(f"of which before loading (Python and its libraries) {before / MIB:,.0f} MiB")


def peak_memory() -> int:
    """Largest resident memory of this process so far in bytes; mapped files count while they are in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="folder with 4 GB of free space")
    parser.add_argument("--keep", action="store_true", help="keep the file")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        return report_loading(arguments.load)
    if arguments.write:
        return write_checkpoint(arguments.write)
    path = arguments.folder.expanduser().absolute() / f"retfound-layout-{os.getpid()}.pth"
    try:
        # Each step has its own process, because the peak of a process includes memory inherited from its parent.
        for step in ("--write", "--load"):
            subprocess.run([sys.executable, __file__, step, str(path)], check=True)
    finally:
        if not arguments.keep:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
