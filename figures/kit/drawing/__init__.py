"""What several figures draw: lines over time, panels, axes."""
