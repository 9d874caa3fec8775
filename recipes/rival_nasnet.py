"""NASNet-A: CIFAR-10, trained as AdvRush published it (PGD-7, 200 epochs).

Command:   rnascl run rival_nasnet
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 83.66, FGSM 55.67, PGD-20 48.02, MI-FGSM 53.05 % (Table 1).

Published with 3.8 M parameters and 600 M multiply-adds; counted 3,830,950 and 604 M.
"""

from rnascl_keras.recipes._rivals import ADVRUSH, rival

recipe = rival("nasnet", ADVRUSH)
