"""E2RNAS at 16 channels: CIFAR-10, trained as DARTS published it, without adversarial images.

Command:   rnascl run rival_e2rnas
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 93.97, PGD-20 6.76 % (Table 1).

Published with 0.44 M parameters; counted 448,570. The PGD of its authors' test script had a
radius of 2/255 by default, so 6.76 % is probably not at 8/255.
"""

from rnascl_keras.recipes._rivals import DARTS, rival

recipe = rival("e2rnas", DARTS)
