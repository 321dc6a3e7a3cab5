"""What makes many sets one: the same image found twice, parts that share no patient, balance, and the check that nothing leaks."""
