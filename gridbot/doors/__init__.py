"""What everything that comes from outside passes: JSON, numbers in a file, words for people."""
