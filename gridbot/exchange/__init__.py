"""Values that worker and transport share: what is asked of an exchange, what it answers, and how it fails."""
