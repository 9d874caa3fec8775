"""DenseNet-121-R: CIFAR-10, trained by PGD-10 for 100 epochs.

Command:   rnascl run rival_densenet121_r
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 87.22, FGSM 67.12, PGD-20 52.52 % (Table 1).

Published with 6 M parameters; counted 5,999,686.
"""

from rnascl_keras.recipes._rivals import ROBUST_WRN, rival

recipe = rival("densenet121_r", ROBUST_WRN)
