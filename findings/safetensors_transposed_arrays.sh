#!/usr/bin/env bash
# safetensors: NumPy arrays that are transposed, or columns of another array.
#
# Expected: what is stored is what is read back, as with numpy.save; or an error, as safetensors.torch gives for a tensor
#           that is not contiguous ("You are trying to save a non contiguous tensor").
# Observed (safetensors 0.8.0): save and save_file store such an array without an error or a warning, with the right
#           shape and dtype and the values in another order: those that follow each other in memory. The transpose of
#           [[0, 1, 2], [3, 4, 5]] is read back as [[0, 1], [2, 3], [4, 5]] instead of [[0, 3], [1, 4], [2, 5]]; its
#           columns 0 and 2 as [[0, 1], [2, 3]]; a photograph (height, width, 3) turned to (3, height, width) is
#           scrambled. The docstring asks for contiguous arrays. Version 0.7.0 stores all three as they are.
# Who meets it: whoever stores features, score maps or frames by safetensors.numpy and upgrades: images are transposed
#           between (height, width, channels) and (channels, height, width) all the time, and the file looks right.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/store.py" <<'PY'
import json
import sys

import numpy as np
import safetensors
from safetensors.numpy import load, load_file, save, save_file

table = np.arange(6, dtype=np.float32).reshape(2, 3)
photograph = np.arange(2 * 4 * 3, dtype=np.float32).reshape(2, 4, 3)
arrays = {"transposed": table.T, "columns": table[:, ::2], "channels first": photograph.transpose(2, 0, 1)}
same = {"contiguous": bool(np.array_equal(load(save({"a": table}))["a"], table))}
for name, array in arrays.items():
    read = load(save({"a": array}))["a"]
    save_file({"a": array}, sys.argv[1])
    assert np.array_equal(load_file(sys.argv[1])["a"], read)
    assert read.shape == array.shape and read.dtype == array.dtype
    same[name] = bool(np.array_equal(read, array))
print(f"safetensors {safetensors.__version__}, numpy {np.__version__}: read back as stored: {json.dumps(same)}")
if not same["transposed"]:
    print(f"stored {table.T.tolist()}, read {load(save({'a': table.T}))['a'].tolist()}")
print(json.dumps(same))
PY
python3 -m venv "$work/env"
for version in 0.7.0 0.8.0; do
  "$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "safetensors==$version" "numpy>=2,<3"
  "$work/env/bin/python" -W error "$work/store.py" "$work/file.safetensors" | tee "$work/$version.txt" | sed '$d'
done
all='{"contiguous": true, "transposed": true, "columns": true, "channels first": true}'
none='{"contiguous": true, "transposed": false, "columns": false, "channels first": false}'
if [ "$(tail -1 "$work/0.7.0.txt")" = "$all" ] && [ "$(tail -1 "$work/0.8.0.txt")" = "$none" ]; then
  echo "as observed"
else
  echo "the behaviour has changed"
  exit 1
fi
