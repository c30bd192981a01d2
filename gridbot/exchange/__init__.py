"""What is asked of an exchange and what it answers, whatever carries it: words that worker and transport share."""
