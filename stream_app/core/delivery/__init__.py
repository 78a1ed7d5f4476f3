"""What is delivered to the staff, when, how often it is tried, and when it is given up. Pure: time is an argument."""
