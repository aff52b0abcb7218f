"""What no key waits for: work in threads, and what hands it over."""
