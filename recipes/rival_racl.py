"""RACL: CIFAR-10, trained as AdvRush published it (PGD-7, 200 epochs).

Command:   rnascl run rival_racl
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 83.89, FGSM 57.44, PGD-20 49.34, MI-FGSM 54.73 % (Table 1).

Published with 3.6 M parameters and 500 M multiply-adds; counted 3,571,174 and 550 M.
"""

from rnascl_keras.recipes._rivals import ADVRUSH, rival

recipe = rival("racl", ADVRUSH)
