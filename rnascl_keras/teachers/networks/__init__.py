"""The networks that teach: a table of ResNets, and two small ones."""
