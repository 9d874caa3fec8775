"""What else could have trained the student: baselines, and the comparison of all of them."""
