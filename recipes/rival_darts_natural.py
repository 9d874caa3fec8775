"""DARTS (V2): CIFAR-10, trained as DARTS published it, without adversarial images.

Command:   rnascl run rival_darts_natural
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 97.03, FGSM 42.48, PGD-20 7.09, MI-FGSM 0.28 % (Table 1).

Published with 3.3 M parameters and 500 M multiply-adds; counted 3,349,342 and 528 M.
"""

from rnascl_keras.recipes._rivals import DARTS, rival

recipe = rival("darts", DARTS)
