"""In how large pieces a deployed file's gradient is taken fastest, by the file's largest tensor.

    python -m benchmarks.pieces MODEL.onnx ...

Prints, for each file, the processor's time with pieces of each size over that with the size that is
chosen, on one thread: wanted are ratios of at least 0.95. What else the machine does counts little,
for the sizes take turns and waiting is not counted.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from rnascl_keras.export import OnnxClassifier

IMAGES, TURNS = 64, 6
SIZES = (2, 4, 8, 12, 16, 32, 64)


def main() -> None:
    random = np.random.default_rng(0)
    for name in sys.argv[1:]:
        classifier = OnnxClassifier(name, threads=1)
        images = random.random((IMAGES, *classifier.some_image_shape(32)), dtype=np.float32)
        labels = np.zeros(IMAGES, int)
        chosen = classifier._batches._most
        seconds: dict[int, list[float]] = {size: [] for size in sorted({*SIZES, chosen})}
        for turn in range(TURNS + 1):
            for size, taken in seconds.items():
                classifier._batches._most = size
                begin = time.process_time()
                classifier.loss_and_gradient(images, labels, "log_odds")
                if turn:
                    taken.append(time.process_time() - begin)
        medians = {size: statistics.median(taken) for size, taken in seconds.items()}
        parts = [f"{size}: {taken / medians[chosen]:.2f}" for size, taken in medians.items()]
        print(f"{name}: {chosen} images in a piece; {', '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
