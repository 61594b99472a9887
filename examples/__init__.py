"""Examples: one small mobile site under Flask and under Starlette, and a demonstration with traffic."""
