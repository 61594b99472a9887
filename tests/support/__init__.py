"""What several test files share: a clock, storages that misbehave, a client for both edges."""
