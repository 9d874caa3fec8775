"""RobNet-large (v1): CIFAR-10, trained by PGD-7 for 170 epochs.

Command:   rnascl run rival_robnet_large
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 78.57, FGSM 54.98, PGD-20 49.44, MI-FGSM 49.92 % (Table 1).

Published with 6.89 M parameters; counted 6,842,710. The authors give 83.5/52.1 (clean/PGD-20) for
training from scratch, and cut a square out, which is left out here.
"""

from rnascl_keras.recipes._rivals import ROBNET, rival

recipe = rival("robnet_large", ROBNET, learning_rate=0.1)
