"""MSRobNet-1000: CIFAR-10, trained by PGD-7 for 110 epochs.

Command:   rnascl run rival_msrobnet_1000
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 84.5, FGSM 59.6, PGD-20 52.7 % (Table 1).

Published with 3.16 M parameters; counted 3,160,276.
"""

from rnascl_keras.recipes._rivals import MSROBNET, rival

recipe = rival("msrobnet_1000", MSROBNET, learning_rate=0.05, weight_decay=5e-4)
