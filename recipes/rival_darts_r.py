"""DARTS-R, by the rule: CIFAR-10, trained by PGD-10 for 100 epochs.

Command:   rnascl run rival_darts_r
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: none for these widths; DARTS-R has clean 87.2, FGSM 66.74, PGD-20 52.36 % (Table 1).

Published with 2.53 M parameters, of widths that are not public; the rule, the last stage's width
x 0.4, gives 1,295,834.
"""

from rnascl_keras.recipes._rivals import ROBUST_WRN, rival

recipe = rival("darts_r", ROBUST_WRN)
