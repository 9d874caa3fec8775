"""MSRobNet-1560: CIFAR-10, trained by PGD-7 for 110 epochs.

Command:   rnascl run rival_msrobnet_1560
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: not in the paper's tables.

The example of its authors' repository.
"""

from rnascl_keras.recipes._rivals import MSROBNET, rival

recipe = rival("msrobnet_1560", MSROBNET, learning_rate=0.05, weight_decay=5e-4)
