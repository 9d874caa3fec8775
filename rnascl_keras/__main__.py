"""`python -m rnascl_keras` is `rnascl`."""

from rnascl_keras.cli import main

if __name__ == "__main__":
    main()
