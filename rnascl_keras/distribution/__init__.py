"""Many devices: strategies, the cluster, several workers and replicas."""
