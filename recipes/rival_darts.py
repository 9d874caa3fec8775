"""DARTS (V2): CIFAR-10, trained as AdvRush published it (PGD-7, 200 epochs).

Command:   rnascl run rival_darts
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 83.75, FGSM 55.75, PGD-20 44.91, MI-FGSM 51.63 % (Table 1).

Published with 3.3 M parameters and 500 M multiply-adds; counted 3,349,342 and 528 M.
"""

from rnascl_keras.recipes._rivals import ADVRUSH, rival

recipe = rival("darts", ADVRUSH)
