"""AmoebaNet-A: CIFAR-10, trained as DARTS published it, without adversarial images.

Command:   rnascl run rival_amoebanet
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 97.39, FGSM 44.79, PGD-20 0.25, MI-FGSM 0.8 % (Table 1).

Published with 3.2 M parameters and 500 M multiply-adds; counted 3,145,078 and 489 M.
"""

from rnascl_keras.recipes._rivals import DARTS, rival

recipe = rival("amoebanet", DARTS)
