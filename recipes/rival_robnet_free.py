"""RobNet-free: CIFAR-10, trained by PGD-7 for 170 epochs.

Command:   rnascl run rival_robnet_free
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: not in the paper's tables.

A code for each of the 20 cells.
"""

from rnascl_keras.recipes._rivals import ROBNET, rival

recipe = rival("robnet_free", ROBNET, learning_rate=0.1)
