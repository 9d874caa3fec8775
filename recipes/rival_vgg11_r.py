"""VGG-11-R: CIFAR-10, trained by PGD-10 for 100 epochs.

Command:   rnascl run rival_vgg11_r
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 79.63, FGSM 57.35, PGD-20 43.93 % (Table 1).

Published with 5.83 M parameters; counted 5,830,475.
"""

from rnascl_keras.recipes._rivals import ROBUST_WRN, rival

recipe = rival("vgg11_r", ROBUST_WRN)
