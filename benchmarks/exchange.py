"""How long a search step computes and how long it exchanges, on paper, for larger machines.

Command: python -m benchmarks.exchange
Sizes and multiply-adds are the package's own; speeds are the vendors' and, where they say so,
assumed: see docs/scaling.md. Nothing is timed.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnascl_keras import CrossLayerSearch, Supernet
from rnascl_keras.distribution.replicas import moving_statistics
from rnascl_keras.teachers import build_teacher

FLOAT = 4
FLOP_PER_MAC = 6  # a multiply and an add, forward once and backward twice
EXCHANGES = 3  # gradients of weights, of Gumbel variables, moving statistics


@dataclass(frozen=True)
class Machine:
    """Several replicas.

    Attributes:
        name: of it.
        replicas: how many.
        flops: that a replica does a second, on these networks.
        bandwidth: bytes that a replica sends a second.
        latency: seconds from one replica to the next.
    """

    name: str
    replicas: int
    flops: float
    bandwidth: float
    latency: float

    def compute(self, macs: float, images: float) -> float:
        """Return the seconds for `images` of `macs` multiply-adds each."""
        return FLOP_PER_MAC * macs * images / self.flops

    def exchange(self, size: int) -> float:
        """Return the seconds for all replicas to add up `size` bytes in a ring."""
        others = self.replicas - 1
        sent = 2 * others / self.replicas * size
        return sent / self.bandwidth + EXCHANGES * 2 * others * self.latency


A100 = 0.05 * 19.5e12
TPU_V4 = 0.01 * 275e12
MACHINES = (
    Machine("8 GPUs, one host", 8, A100, 300e9, 5e-6),
    Machine("8 hosts, a GPU each", 8, A100, 12.5e9, 25e-6),
    Machine("TPU v4-32", 16, TPU_V4, 1.1e15 / 4096, 1e-6),
)

SEARCHES = (("S3", "wide_resnet34_10", 32, 10, 128), ("I", "imagenet_resnet50", 224, 100, 256))
"""Each a space, its teacher, the side of an image, classes, and the paper's batch."""


def exchanged(search: CrossLayerSearch) -> int:
    """Return the bytes that the replicas add up in a step."""
    variables = [
        *search.weight_variables,
        *search.architecture_variables,
        *moving_statistics(search.supernet),
    ]
    return sum(FLOAT * int(v.value.shape.num_elements()) for v in variables)


def main() -> None:
    for space, architecture, side, classes, batch in SEARCHES:
        shape = (side, side, 3)
        teacher = build_teacher(architecture, input_shape=shape, classes=classes)
        search = CrossLayerSearch(teacher=teacher, supernet=Supernet(space, shape, classes))
        size, macs = exchanged(search), search.cost_term.largest_macs
        print(f"{space}: {size:,} bytes, {macs:,} multiply-adds an image")
        for machine in MACHINES:
            exchange = machine.exchange(size)
            image = machine.compute(macs, 1)
            for images in (batch / machine.replicas, batch):
                compute = image * images
                print(
                    f"  {machine.name}, {images:.0f} images a replica: computes "
                    f"{1e3 * compute:.2f} ms, exchanges {1e3 * exchange:.2f} ms, efficiency "
                    f"{compute / (compute + exchange):.0%}"
                )
            print(f"  80 % from {4 * exchange / image:.0f} images a replica")


if __name__ == "__main__":
    main()
