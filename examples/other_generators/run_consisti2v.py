"""Generate 16 frames for each square with ConsistI2V, in ConsistI2V's own environment.

    python run_consisti2v.py <squares> <generated>

Run it in the root folder of a checkout of ConsistI2V, whose script `scripts/animate.py` is called for all squares at
once. It needs a GPU. `<squares>` comes from `write_squares.py`; frames are written as `<generated>/<case>/00.png` to
`15.png`, and `restore_frames.py` puts them on the photographs.
"""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from PIL import Image

sys.path.insert(0, str(Path.cwd()))  # the checkout
from scripts import animate

PROMPT = "fundus fluorescein angiography, arterial, venous and late phase"
SEED = 0


def run_consisti2v(squares: Path, generated: Path) -> None:
    """Generate the frames of all squares."""
    files = sorted(squares.glob("*.png"))
    if not files:
        raise SystemExit(f"{squares}: has no squares <case>.png; run write_squares.py")

    def write_frames(videos, path, **_):
        """Takes the place of ConsistI2V's writer of lossy videos: (1, 3, frames, h, w) in [0, 1] → PNG files."""
        if Path(path).parent.name != "sample":
            return  # the overview of all videos
        folder = generated / files[int(Path(path).name.partition("-")[0])].stem
        folder.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(videos[0].permute(1, 2, 3, 0).cpu().float().numpy()):
            Image.fromarray(np.uint8(np.rint(255 * frame.clip(0, 1)))).save(folder / f"{number:02d}.png")

    animate.save_videos_grid = write_frames
    prompts = {"prompts": [PROMPT] * len(files), "n_prompts": [""], "seeds": SEED}
    prompts["path_to_first_frames"] = [str(file.absolute()) for file in files]
    prompt_file = generated / "prompts.yaml"
    generated.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(prompts), prompt_file)
    arguments = Namespace(prompt=None, prompt_config=str(prompt_file), format="png", save_model=False)
    animate.main(arguments, OmegaConf.load("configs/inference/inference.yaml"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    run_consisti2v(Path(sys.argv[1]), Path(sys.argv[2]))
