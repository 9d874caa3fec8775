"""Networks by name: a table of ResNets, the paper's rivals, and two small ones."""
